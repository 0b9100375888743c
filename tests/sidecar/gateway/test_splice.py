"""The model's place in a body, found without decoding it: always where json.loads would find it."""

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.gateway import splice
from larder_sidecar.gateway.splice import BodyError, find, replace

from tests.sidecar.gateway.scripted import PROPERTY

NASTY = st.sampled_from(
    ['"', "\\", '\\"', '{"model":"x"}', "model", "[{", "}]", "\n", "\u2028", "é", "😀", "\ud800", "w" * 1000]
)
TEXT = st.lists(st.text(max_size=5) | NASTY, max_size=6).map("".join) | st.text(
    alphabet='\\"{}[]', min_size=1, max_size=12
).map(lambda text: (text * 100)[:100])
KEYS = TEXT.filter(lambda key: key.lower() not in ("model", "name"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | st.just("model"), inner, max_size=4),
    max_leaves=12,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n\t", "\r\n :  ")])


@st.composite
def bodies(draw: st.DrawFn, model: st.SearchStrategy[Any]) -> tuple[bytes, dict[str, Any]]:
    """A JSON object, written in one of the ways there are, with `model` at any place among its members."""
    members = list(draw(st.dictionaries(KEYS, VALUES, max_size=5)).items())
    members.insert(draw(st.integers(0, len(members))), ("model", draw(model)))
    document = dict(members)
    text = json.dumps(
        document, ensure_ascii=draw(st.booleans()), separators=draw(SEPARATORS), indent=draw(st.sampled_from([None, 1]))
    )
    return text.encode(errors="surrogatepass"), document


@PROPERTY
@given(bodies(TEXT.filter(lambda text: len(text) < 300)))
def test_the_model_is_found_where_json_finds_it(body: tuple[bytes, dict[str, Any]]) -> None:
    raw, document = body
    fields = find(raw)
    assert fields["model"].text == document["model"]
    spliced = b"".join(replace(raw, fields, "new:名"))
    assert json.loads(spliced.decode(errors="surrogatepass")) == {
        **json.loads(raw.decode(errors="surrogatepass")),
        "model": "new:名",
    }


@PROPERTY
@given(st.dictionaries(KEYS, VALUES, max_size=5), SEPARATORS)
def test_a_body_without_a_model_gets_one(document: dict[str, Any], separators: tuple[str, str]) -> None:
    raw = json.dumps(document, separators=separators).encode()
    fields = find(raw)
    assert fields == {}
    assert json.loads(b"".join(replace(raw, fields, "m"))) == {"model": "m", **json.loads(raw)}


@PROPERTY
@given(bodies(st.integers() | st.booleans() | st.lists(TEXT) | st.dictionaries(TEXT, TEXT)))
def test_a_model_that_is_no_string_is_refused(body: tuple[bytes, dict[str, Any]]) -> None:
    with pytest.raises(BodyError, match="must be a string"):
        find(body[0])


@PROPERTY
@given(bodies(TEXT.filter(lambda text: len(text) < 300)), st.data())
def test_a_damaged_body_is_refused_or_read_as_json_reads_it(
    body: tuple[bytes, dict[str, Any]], data: st.DataObject
) -> None:
    """Whatever both accept they read alike; what only the scanner accepts is refused by the engine."""
    raw = bytearray(body[0])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b'"', b"\\", b"{", b"}", b",", b":", b"model", b"x"])
        )
        if not raw:
            return
    try:
        fields = find(bytes(raw))
    except BodyError:
        return
    try:
        pairs = json.loads(raw.decode(), object_pairs_hook=list)
    except ValueError:
        return
    models = [value for key, value in pairs if isinstance(key, str) and key.lower() == "model"]
    assert [field.text for field in fields.values()] == [value or "" for value in models]


@PROPERTY
@given(st.binary(max_size=40))
def test_any_bytes_are_refused_or_found_without_another_error(raw: bytes) -> None:
    with contextlib.suppress(BodyError):
        find(raw)


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> int:
    """The bound, small: a body that exceeds the real one has up to 400 MB."""
    monkeypatch.setattr(splice, "MAX_STEPS", 2000)
    return splice.MAX_STEPS


@pytest.mark.parametrize("filler", [b"[],", b'{"a":[]},', b"[{}],"])
def test_scanning_is_bounded(filler: bytes, few_steps: int) -> None:
    with pytest.raises(BodyError, match="more than"):
        find(b'{"a":[' + filler * (few_steps + 1) + b'0],"model":"m"}')


@pytest.mark.parametrize("value", [b"[" * 1000 + b"]" * 1000, b"{}", b"[{}]", b'"' + b"x" * 1001 + b'"', b"1"])
def test_scanning_is_bounded_over_all_members(value: bytes, few_steps: int) -> None:
    cost = 1 + value.count(b"[") + value.count(b"{")
    members = (b'"a":' + value + b",") * (2 * few_steps // cost)
    with pytest.raises(BodyError, match="more than"):
        find(b"{" + members + b'"model":"m"}')


def test_nesting_needs_no_recursion() -> None:
    assert find(b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b',"model":"m"}')["model"].text == "m"


LONG = [
    json.dumps({"model": "a", "x": [{"content": "w" * size}, 1.5, {"b": [None]}], "last": "w" * size}).encode()
    for size in (1, 998, 999, 1000, 1001, 20_000, 200_000)
]
MANY = [
    json.dumps({"x": [{"role": "user", "n": -1e9}] * count, "model": "a"}).encode() for count in (63, 64, 65, 999, 3000)
]


@pytest.mark.parametrize("body", [*LONG, *MANY], ids=len)
def test_long_documents_and_long_conversations_are_read(body: bytes) -> None:
    found = find(body)["model"]
    assert (found.text, body[found.start : found.end]) == ("a", b'"a"')


def test_the_interpreter_of_the_image_reads_the_same() -> None:
    """Debian 12 has Python 3.11.2, whose possessive groups are broken: ours need not be as old."""
    python = Path("/usr/bin/python3")
    if not python.exists() and not os.environ.get("CI"):
        pytest.skip(f"no {python} here")
    script = (
        "import sys, json; from larder_sidecar.gateway.splice import find\n"
        "for line in sys.stdin.buffer: print(json.dumps(find(line)))"
    )
    said = subprocess.run(
        [python, "-c", script],
        input=b"\n".join([*LONG, *MANY]),
        env={"PYTHONPATH": str(Path(splice.__file__).parents[2])},
        capture_output=True,
        check=True,
    )
    assert [json.loads(line) for line in said.stdout.splitlines()] == [
        {name: list(field) for name, field in find(body).items()} for body in [*LONG, *MANY]
    ]
