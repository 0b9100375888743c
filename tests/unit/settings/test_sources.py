"""Where the stack config comes from: Pulumi's config, and an overlay over it."""

from pathlib import Path

import pytest

from components.settings import SettingsError
from components.settings.sources import merged, read_overlay


def test_an_overlay_merges_mappings_and_replaces_the_rest() -> None:
    base = {"larder:cache": {"strategy": "none", "node-local": {"node": "a", "size": "1Gi"}}, "larder:models": ["x"]}
    over = {"larder:cache": {"node-local": {"node": "b"}}, "larder:models": ["y", "z"], "larder:hub": {"endpoint": "e"}}
    assert merged(base, over) == {
        "larder:cache": {"strategy": "none", "node-local": {"node": "b", "size": "1Gi"}},
        "larder:models": ["y", "z"],
        "larder:hub": {"endpoint": "e"},
    }


def test_an_overlay_leaves_what_it_is_merged_over_as_it_was() -> None:
    base = {"larder:cache": {"strategy": "none"}}
    merged(base, {"larder:cache": {"strategy": "node-local"}})
    assert base == {"larder:cache": {"strategy": "none"}}


def test_no_overlay_changes_nothing() -> None:
    assert read_overlay(None) == read_overlay("") == {}


@pytest.mark.parametrize("text", ["- a\n", "cache: {strategy: none}\n", "{", "larder:cache: [\n"])
def test_an_overlay_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "overlay.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"^LARDER_OVERLAY: .*overlay\.yaml"):
        read_overlay(str(file))


def test_an_overlay_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LARDER_OVERLAY: cannot read"):
        read_overlay(str(tmp_path / "gone.yaml"))


def test_an_empty_overlay_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").write_text("# nothing\n")
    assert read_overlay(str(tmp_path / "overlay.yaml")) == {}
