"""YAML that others write: read, or refused in one line, within a bound of time and memory."""

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from larder_sidecar.config.document import DocumentError, load_document

COMMAS = ",".join
ALIAS_BOMB = "a0: &a0 [l,l,l,l,l,l,l,l,l]\n" + "".join(
    f"a{i}: &a{i} [{COMMAS([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
MERGE_BOMB = "a0: &a0 {k0: 1, k1: 2, k2: 3, k3: 4, k4: 5, k5: 6, k6: 7, k7: 8, k8: 9}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{COMMAS([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9)
)
LONG_TEXT_BOMB = f"a: &a {'x' * 30_000}\nb: [{','.join(['*a'] * 5000)}]\n"
UNUSABLE = {
    "nothing closed": "a: [",
    "a bool that is none": "y: !!bool x\n",
    "an int of nothing": "y: !!int ''\n",
    "an int of a sign": "y: !!int '+'\n",
    "a float of nothing": "y: !!float ''\n",
    "a null that is none": "y: !!null x\n",
    "a timestamp": "y: !!timestamp foo\n",
    "a timestamp that is one": "y: !!timestamp 2001-12-14\n",
    "bytes": "y: !!binary aGFsbG8=\n",
    "bytes that are none": "y: !!binary 'ä'\n",
    "a set": "y: !!set {a, b}\n",
    "an ordered map": "y: !!omap [a: 1]\n",
    "pairs": "y: !!pairs [a: 1]\n",
    "a Python object": "y: !!python/object/apply:os.system [id]\n",
    "a tag of somebody": "y: !mine x\n",
    "a tag of somebody on the whole": "!mine {a: b}\n",
    "a tag by its whole name": "y: !<tag:example.org,2026:x> 1\n",
    "a tag with a handle of its own": "%TAG !e! tag:example.org,2026:\n---\ny: !e!x 1\n",
    "a mapping that is a list": "y: !!map [a]\n",
    "a list that is a mapping": "y: !!seq {a: b}\n",
    "a text that is a mapping": "y: !!str {a: b}\n",
    "a mapping that is a text": "y: !!map a\n",
    "a list as key": "? [a, b]\n: c\n",
    "a mapping as key": "? {a: b}\n: c\n",
    "a key twice": "a: 1\na: 2\n",
    "a key twice, in flow": "x: {a: 1, a: 2}\n",
    "a key twice, quoted": "a: 1\n'a': 2\n",
    "two documents": "a: b\n---\nc: d\n",
    "an alias of nothing": "a: *nothing\n",
    "something within itself": "a: &a [*a]\n",
    "something within its own keys": "a: &a {b: {c: *a}}\n",
    "a merge of itself": "a: &a\n  <<: *a\n",
    "a merge of a text": "a: {<<: text}\n",
    "a merge of texts": "a: {<<: [text]}\n",
    "deep lists": "[" * 5000 + "]" * 5000,
    "deep lists, open": "[" * 20_000,
    "deep mappings": "{a: " * 5000 + "}" * 5000,
    "deep lists, in blocks": "- " * 3000 + "a",
    "deep mappings, in lines": "\n".join(" " * depth + "a:" for depth in range(500)),
    "many values": "[" + "a," * 100_000 + "a]",
    "an alias bomb": ALIAS_BOMB,
    "a merge bomb": MERGE_BOMB,
    "a long text many times": LONG_TEXT_BOMB,
    "a long int": f"a: {'9' * 5000}\n",
    "a long int in hex": f"a: 0x{'f' * 20_000}\n",
    "a long int in bits": f"a: 0b{'1' * 20_000}\n",
    "a long int, tagged": f"a: !!int '{'9' * 5000}'\n",
    "a long float": f"a: 1.{'9' * 5000}\n",
    "base 60, tagged": f"y: !!int '1{':59' * 400}'\n",
    "base 60 with a point, tagged": f"y: !!float '1{':59' * 400}.0'\n",
    "a control character": "a: \x01\n",
    "half of a surrogate pair": b"a: \xed\xa0\x80\n",
    "no UTF-8": b"a: \xff\n",
    "UTF-16": "a: b\n".encode("utf-16"),
    "a tab": "a:\n\t- b\n",
    "a version of tomorrow": "%YAML 3.0\n---\na: b\n",
    "two versions": "%YAML 1.1\n%YAML 1.2\n---\na: b\n",
    "a long anchor of nothing": f"a: *{'x' * 10_000}\n",
    "a long key twice": f"{'k' * 500}: 1\n{'k' * 500}: 2\n",
    "a long tag": f"a: !{'t' * 10_000} b\n",
    "ten megabytes": "# " + "x" * 10_000_000,
}
ONLY_WRITTEN_OUT = {
    "an anchor": "a: &a b\n",
    "an anchor and its alias": "a: &a [b]\nc: *a\n",
    "an anchor of a mapping": "a: &a {b: c}\n",
    "an alias as a key": "a: &a b\n*a : c\n",
    "a merge without an anchor": "a:\n  <<: {b: c}\n  d: e\n",
    "a merge": "a: &a {b: c}\nd: {<<: *a}\n",
}


@pytest.fixture
def bounded() -> Callable[[], None]:
    """Fail where more than two seconds of processor time or 64 MiB of memory went into it."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.process_time()

    def within() -> None:
        assert time.process_time() - began < 2
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before.ru_maxrss < 64 * 1024

    return within


def _written(folder: Path, content: str | bytes) -> Path:
    path = folder / "entry.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("aliases", [True, False])
@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_cannot_be_used_is_refused_in_one_short_line(
    tmp_path: Path, bounded: Callable[[], None], content: str | bytes, aliases: bool
) -> None:
    with pytest.raises(DocumentError) as refused:
        load_document(_written(tmp_path, content), aliases=aliases)
    said = str(refused.value)
    assert len(said) < 300
    assert "\n" not in said
    assert said.isprintable()
    bounded()


@pytest.mark.parametrize("content", ONLY_WRITTEN_OUT.values(), ids=ONLY_WRITTEN_OUT.keys())
def test_what_others_write_has_everything_written_out(tmp_path: Path, content: str) -> None:
    path = _written(tmp_path, content)
    load_document(path)
    with pytest.raises(DocumentError, match=r"\(line \d\)\. Fix: ") as refused:
        load_document(path, aliases=False)
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
    loaded = load_document(_written(tmp_path, text), aliases=False)
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
            load_document(tmp_path / f"{name}.yaml")


def test_a_file_is_read_up_to_its_bound_and_no_further(tmp_path: Path) -> None:
    assert load_document(_written(tmp_path, "a: b # " + "x" * 505), most=512) == {"a": "b"}
    with pytest.raises(DocumentError, match="larger than 512 bytes"):
        load_document(_written(tmp_path, "a: b # " + "x" * 506), most=512)


PIECES = st.sampled_from(
    [*"[]{}:,-?!&*|>%@#'\"~\n ", "  ", "a", "<<", "!!", "!!int ", "!!set ", "&a ", "*a", "1", "0x", ":59", ".", "---\n"]
)


@hypothesis_settings(max_examples=400, deadline=2000)
@given(st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=60)), st.booleans())
def test_any_text_is_a_document_or_a_document_error(
    tmp_path_factory: pytest.TempPathFactory, text: str, aliases: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    said = ""
    try:
        load_document(path, aliases=aliases)
    except DocumentError as refused:
        said = str(refused)
    assert len(said) < 300
    assert said.isprintable()
