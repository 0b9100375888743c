"""YAML that others write: read, or refused in one line, within a bound of time and memory."""

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.config.document import DocumentError, load_document

from tests.examples import up_to
from tests.unit.catalog.hostile import ONLY_WRITTEN_OUT, UNUSABLE


@pytest.fixture
def bounded() -> Callable[[], None]:
    """Fail where more than ten seconds of processor time or 64 MiB of memory went into it."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.process_time()

    def within() -> None:
        assert time.process_time() - began < 10
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before.ru_maxrss < 64 * 1024

    return within


def _written(folder: Path, content: str | bytes) -> Path:
    path = folder / "entry.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_cannot_be_used_is_refused_in_one_short_line(
    tmp_path: Path, bounded: Callable[[], None], content: str | bytes, trusted: bool
) -> None:
    with pytest.raises(DocumentError) as refused:
        load_document(_written(tmp_path, content), trusted=trusted)
    said = str(refused.value)
    assert len(said) < 300
    assert "\n" not in said
    assert said.isprintable()
    bounded()


@pytest.mark.parametrize("content", ONLY_WRITTEN_OUT.values(), ids=ONLY_WRITTEN_OUT.keys())
def test_what_others_write_has_everything_written_out(tmp_path: Path, content: str | bytes) -> None:
    path = _written(tmp_path, content)
    load_document(path)
    with pytest.raises(DocumentError, match=r"\(line \d\)\. Fix: ") as refused:
        load_document(path, trusted=False)
    assert "write" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: 1:59:59", "1:59:59"),
        ("a: 190:20:30.15", "190:20:30.15"),
        ("a: 2026-11-30", "2026-11-30"),
        ("a: 2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z"),
        ("a: 0x1F", 31),
        ("a: -12", -12),
        ("a: 1_000", 1000),
        ("a: 1.5", 1.5),
        ("a: .5e+1", 5.0),
        ("a: 1e9", "1e9"),
        ("a: on", True),
        ("a: ~", None),
        ("a: !!str 12", "12"),
        ("a: !!int '12'", 12),
        ("a: !!float '12'", 12.0),
        ("a: !!bool yes", True),
        ("a: !!null ''", None),
        ("a: !!map {}", {}),
        ("a: !!seq []", []),
        ("a: '<<'", "<<"),
        ("a: '&b *c !!binary'", "&b *c !!binary"),
        ("%YAML 1.2\n---\na: b\n...\n", "b"),
        ("\ufeffa: b", "b"),
        ("a: |\n  {{ .Content }}\n", "{{ .Content }}\n"),
        ("a: ['é', \"\\U0001F999\"]", ["é", "🦙"]),
    ],
)
def test_plain_values_are_read_as_they_were(tmp_path: Path, text: str, value: Any) -> None:
    loaded = load_document(_written(tmp_path, text), trusted=False)
    assert loaded == ({"a": value} if text else None)


def test_aliases_of_a_stack_file_are_what_they_stand_for(tmp_path: Path) -> None:
    text = "base: &base {memory: 2Gi}\na: {<<: *base, cpu: 2}\nb: *base\n"
    loaded = load_document(_written(tmp_path, text))
    assert loaded == {"base": {"memory": "2Gi"}, "a": {"memory": "2Gi", "cpu": 2}, "b": {"memory": "2Gi"}}


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "circle.yaml").symlink_to("circle.yaml")
    for name in ("fifo", "folder", "zero", "circle", "absent"):
        with pytest.raises(DocumentError):
            load_document(tmp_path / f"{name}.yaml", trusted=False)


def test_a_file_of_ones_own_may_be_a_pipe_that_ends(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"a: b\n")
    os.close(writer)
    assert load_document(Path(f"/dev/fd/{reader}")) == {"a": "b"}
    os.close(reader)
    for name in ("/dev/zero", str(tmp_path)):
        with pytest.raises(DocumentError):
            load_document(Path(name))


def test_a_file_is_read_up_to_its_bound_and_no_further(tmp_path: Path) -> None:
    assert load_document(_written(tmp_path, "a: b # " + "x" * 505), most=512) == {"a": "b"}
    with pytest.raises(DocumentError, match="larger than 512 bytes"):
        load_document(_written(tmp_path, "a: b # " + "x" * 506), most=512)


PIECES = st.sampled_from(
    [*"[]{}:,-?!&*|>%@#'\"~\n ", "  ", "a", "<<", "!!", "!!int ", "!!set ", "&a ", "*a", "1", "0x", ":59", ".", "---\n"]
)


@up_to(400)
@given(st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=60)), st.booleans())
def test_any_text_is_a_document_or_a_document_error(
    tmp_path_factory: pytest.TempPathFactory, text: str, trusted: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    said = ""
    try:
        load_document(path, trusted=trusted)
    except DocumentError as refused:
        said = str(refused)
    assert len(said) < 300
    assert said.isprintable()
