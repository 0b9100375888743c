"""Position of the model in a body, found without decoding: always as json.loads finds it."""

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.gateway import scanner, splice
from larder_sidecar.gateway.splice import BodyError, find, replace

from bench import hostile
from tests.examples import some_of
from tests.sidecar.gateway.scripted import PROPERTY, TURN_SECONDS

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
    """Return a JSON object in any formatting, with `model` at any place among its members."""
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
    assert find(bytearray(raw)) == fields  # type: ignore[arg-type]  # as bodies are that came in several pieces
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
    """A body that both accept is read alike; one that only the scanner accepts is refused by the engine."""
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


def turns_of(body: bytes) -> list[float]:
    """Return the thread CPU seconds of each turn that reads the body."""
    steps = splice.scan(body, ("model", "name"), ("keep_alive", "options"))
    taken: list[float] = []
    while True:
        began = time.thread_time()
        try:
            next(steps)
        except (StopIteration, BodyError):
            return [*taken, time.thread_time() - began]
        taken.append(time.thread_time() - began)


BODIES = dict(hostile.bodies(4 * hostile.MIB))


@pytest.mark.parametrize("shape", some_of(BODIES))
def test_no_body_takes_more_than_its_turns(shape: str) -> None:
    body = BODIES[shape]
    for _ in range(3):  # what the machine does besides may spoil a reading, and only work that grows spoils each
        taken = turns_of(body)
        if max(taken) < TURN_SECONDS and sum(taken) / len(body) < 300e-9:  # seconds a byte, over all turns
            return
    pytest.fail(f"{max(taken):.3f} s in a turn, {sum(taken) / len(body) * 1e9:.0f} ns a byte")


def test_a_turn_ends_after_counted_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splice, "SLICE", 10 * scanner.WINDOW)
    body = b'{"a":[' + b"1," * 100 * scanner.WINDOW + b'0],"model":"m"}'
    pauses = sum(1 for _ in splice.scan(body))
    assert 15 <= pauses <= 20


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"model":' + b"[" * 990 + b"]" * 990 + b"}", "must be a string"),
        (b'{"model":' + b"[" * 100_000 + b"}", "must be a string"),
        (b'{"model":{"a":1}}', "must be a string"),
        (b'{"model":"' + b"m" * 2**20 + b'"}', "less than 4 kB"),
        (b'{"model":"' + rb"\u006d" * 2**16 + b'"}', "less than 4 kB"),
        (b'{"model"' + b" " * 2**17 + b':"m"}', "blanks after"),
        (b'{"model":' + b" " * 2**17 + b'"m"}', "blanks after"),
        (b" " * 2**17 + b'{"model":"m"}', "expected an object"),
        (b'{"a":[' + b'{"model":0},' * 10_001 + b"0]}", "more than 10,000"),
        (b'{"model":"a"} {"x":"b"}', "goes on after"),
        (b'{"model":"a"}' + b" " * 40_000 + b'{"x":"b"}', "goes on after"),
        (b'{"model":"a"}}', "goes on after"),
        (b'{"model":"a"}"', "end of the object"),
        (b'{"x":[' + b"1," * 20_000 + b'1],"model":"a"} x', "goes on after"),
    ],
)
def test_a_body_that_no_engine_could_mean_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(BodyError, match=why):
        find(body)


KEYS_OF_GO = [
    "model",
    "MODEL",
    "moDel",
    rb"\u006dodel".decode(),
    rb"mod\u0065\u004c".decode(),
    rb"\u004D\u004f\u0044\u0045\u004C".decode(),
]


@pytest.mark.parametrize("key", KEYS_OF_GO)
@pytest.mark.parametrize(
    "at", [0, 1, 100, 511, 512, 1535, 1536, *range(scanner.WINDOW - 80, scanner.WINDOW + 80, 7), 10**6]
)
def test_a_name_is_found_wherever_a_window_ends(key: str, at: int) -> None:
    body = b'{"x":"' + b"w" * at + rb'\\\"","' + key.encode() + b'" : "m\\u00e9"}'
    found = find(body)
    assert found["model"].text == "mé"
    assert body[found["model"].start : found["model"].end] == rb'"m\u00e9"'
    short = b'{"x":[' + b"1," * (at // 2) + b'1],"' + key.encode() + b'":"m"}'
    assert find(short)["model"].text == "m"


@pytest.mark.parametrize("key", ["keep_alive", "\u212aeep_alive", "Keep_Alive", rb"\u212Aeep\u005falive".decode()])
def test_kelvin_is_a_k_as_it_is_to_go(key: str) -> None:
    body = f'{{"{key}":"5m"}}'.encode()
    found = find(body, (), ("keep_alive",))["keep_alive"]
    assert body[found.start : found.end] == b'"5m"'


@pytest.mark.parametrize(
    "value", [b"1", b"-1.5e3", b'"a\\"]"', b"null", b"true", b"[]", b'[["a}"],{"b":[1]}]', b'{"a":"}"}']
)
@pytest.mark.parametrize("after", [b"", b" ", b',"b":1', b" , \n" + b'"b":[]'])
def test_a_value_is_found_whole(value: bytes, after: bytes) -> None:
    body = b'{"options": ' + value + after + b"}"
    found = find(body, (), ("options",))["options"]
    assert body[found.start : found.end] == value


def test_a_value_that_nobody_reads_is_longer_than_what_is_read() -> None:
    body = b'{"options":[' + b"1," * 10**6 + b'1],"model":"m"}'
    found = find(body, ("model",), ("options",))
    assert found["options"].end - found["options"].start == scanner.VALUE_BYTES + 1
    assert found["model"].text == "m"


@pytest.mark.parametrize("body", [b"{}", b"{ \n }", b"{" + b" " * 10**5 + b"}"], ids=len)
def test_an_empty_object_stays_json_with_a_model(body: bytes) -> None:
    assert json.loads(b"".join(replace(body, find(body), "m"))) == {"model": "m"}


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
