"""Sources of the stack config: Pulumi's config, and an overlay."""

from pathlib import Path

import pytest

from components.settings import SettingsError
from components.settings.sources import holds_ciphertext, merged, read_overlay


def test_an_overlay_merges_mappings_and_replaces_the_rest() -> None:
    base = {"larder:cache": {"strategy": "none", "node-local": {"node": "a", "size": "1Gi"}}, "larder:models": ["x"]}
    over = {"larder:cache": {"node-local": {"node": "b"}}, "larder:models": ["y", "z"], "larder:hub": {"endpoint": "e"}}
    assert merged(base, over) == {
        "larder:cache": {"strategy": "none", "node-local": {"node": "b", "size": "1Gi"}},
        "larder:models": ["y", "z"],
        "larder:hub": {"endpoint": "e"},
    }


def test_a_merge_does_not_change_its_inputs() -> None:
    base = {"larder:cache": {"strategy": "none"}}
    merged(base, {"larder:cache": {"strategy": "node-local"}})
    assert base == {"larder:cache": {"strategy": "none"}}


def test_no_overlay_changes_nothing() -> None:
    assert read_overlay(None) == read_overlay("") == {}


NO_OVERLAYS = [
    b"- a\n",
    b"cache: {strategy: none}\n",
    b"1: 2\n",
    b"{",
    b"larder:cache: [\n",
    b"\xff",
    b"larder:models: !!python/name:os.system\n",
    b"larder:models: [a]\nlarder:models: [b]\n",
    b"larder:cache: {strategy: none, strategy: node-local}\n",
    b"larder:models: " + b"[" * 3000 + b"]" * 3000,
    b"larder:models: [" + b"9" * 5000 + b"]",
    b"larder:models: &a [*a]\n",
    b"larder:cache: &a {node-local: {node: *a}}\n",
]


@pytest.mark.parametrize("content", NO_OVERLAYS, ids=[content[:20].decode("latin-1") for content in NO_OVERLAYS])
def test_an_invalid_overlay_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "overlay.yaml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"^LARDER_OVERLAY: .*overlay\.yaml"):
        read_overlay(str(file))


def test_a_missing_overlay_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LARDER_OVERLAY: cannot read"):
        read_overlay(str(tmp_path / "gone.yaml"))


def test_dates_are_text_and_anchors_may_be_merged_and_overridden(tmp_path: Path) -> None:
    file = tmp_path / "overlay.yaml"
    file.write_text("larder:models: [2026-13-45]\nlarder:a: &a {x: 1, y: 2}\nlarder:b: {<<: *a, y: 3}\n")
    found = read_overlay(str(file))
    assert (found["larder:models"], found["larder:b"]) == (["2026-13-45"], {"x": 1, "y": 3})


@pytest.mark.parametrize(
    ("value", "hidden"),
    [({"endpoint": {"secure": "v1:x"}}, True), ([{"secure": "v1:x"}], True), ({"endpoint": "x"}, False), ("x", False)],
)
def test_ciphertext_is_found_at_any_depth(value: object, hidden: bool) -> None:
    assert holds_ciphertext(value) is hidden


def test_an_empty_overlay_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").write_text("# nothing\n")
    assert read_overlay(str(tmp_path / "overlay.yaml")) == {}
