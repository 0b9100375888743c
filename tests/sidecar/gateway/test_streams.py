"""Detection of a stream's end as its clients read it: by events, lines and the members of their objects."""

import itertools
import json
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.gateway import watch
from larder_sidecar.gateway.lines import WholeLines
from larder_sidecar.gateway.streams import ANTHROPIC, NDJSON, OPENAI, RESPONSES, Stream, watch_for
from larder_sidecar.gateway.watch import Watch

from tests.examples import some_of
from tests.sidecar.gateway.scripted import PROPERTY, TURN_SECONDS

KINDS = {"openai": OPENAI, "anthropic": ANTHROPIC, "responses": RESPONSES, "ndjson": NDJSON}
CALL = {"function": {"name": "f", "arguments": {"done": True, "error": "x", "text": "a\n\ndata: [DONE]\n\n"}}}


def sse(*events: object, name: str = "", end: str = "\n", blank: str = " ") -> bytes:
    told = ""
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        told += (f"event:{blank}{name}{end}" if name else "") + f"data:{blank}{data}{end}{end}"
    return told.encode()


def lines(*each: object, compact: bool = False) -> bytes:
    separators = (",", ":") if compact else None
    return b"".join(json.dumps(line, separators=separators).encode() + b"\n" for line in each)


def seen(kind: Stream, *pieces: bytes) -> tuple[bool, bool]:
    """Return (ended, failed)."""
    content_type = b"text/event-stream" if kind.framing == "sse" else b"application/x-ndjson"
    one = watch_for(kind, 200, content_type)
    assert one is not None
    for piece in pieces:
        one.see(piece)
    one.finish()
    return one.ended, one.failed


def chunk(reason: str | None = None, **more: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": "é語😀"}, "finish_reason": reason}], **more}


SAID = {"message": {"role": "assistant", "content": "", "tool_calls": [CALL]}, "done": False}
DONE = {"message": {"content": ""}, "done": True, "done_reason": "stop"}
ENDS: list[tuple[str, bytes]] = [
    ("openai", sse(chunk(), "[DONE]")),
    ("openai", sse(chunk("stop"), "[DONE]", blank="")),
    ("openai", sse(chunk("stop"), "[DONE]", end="\r\n")),
    ("openai", sse(chunk("stop"), "[DONE]", end="\r")),
    ("openai", sse(chunk("stop"), "[DONE] ")),
    ("openai", sse(chunk()) + b": comment\n\n" + sse("[DONE]")),
    ("openai", sse(chunk()) + b": comment\nid: 7\nretry: 1\n" + sse("[DONE]")),
    ("openai", sse(chunk()) + b"data: [DONE]\n"),
    ("openai", sse(chunk()) + b"data: [DONE]"),
    ("openai", b"\xef\xbb\xbf" + sse("[DONE]")),
    ("openai", sse({**chunk(), "error": None}, "[DONE]")),
    ("openai", sse(chunk("stop", usage={"error": {"a": 1}}), "[DONE]")),
    ("anthropic", sse({}, name="message_stop")),
    ("anthropic", sse({"type": "message_stop"})),
    ("anthropic", sse({"type": "message_stop"}, name="message_stop", end="\r\n", blank="")),
    *(
        ("responses", sse({"type": f"response.{how}", "response": {"error": None}}, name=name))
        for how in ("completed", "failed", "incomplete", "cancelled")
        for name in ("", f"response.{how}")
    ),
    ("ndjson", lines(SAID, DONE)),
    ("ndjson", lines(SAID, DONE, compact=True)),
    ("ndjson", lines(SAID, DONE).replace(b"\n", b"\r\n")),
    ("ndjson", lines(SAID, DONE).rstrip()),
    ("ndjson", b'{"done" : true }\n'),
    ("ndjson", b'{"done":true,"context":[' + b"1," * 200_000 + b"1]}\n"),
    ("ndjson", lines(SAID, DONE) + b"\n\n"),
]
GOES_ON: list[tuple[str, bytes]] = [
    ("openai", b""),
    ("openai", sse(chunk(), chunk("stop"))),
    ("openai", sse({"text": "\ndata: [DONE]\n\n"})),
    (
        "openai",
        sse("[DONE"),
    ),
    ("openai", b"data: a\ndata: [DONE]\n\n"),
    ("openai", b": data: [DONE]\n\n"),
    ("openai", b"xdata: [DONE]\n\n"),
    ("openai", sse({"choices": [{"delta": {"tool_calls": [{"function": {"arguments": '"[DONE]"'}}]}}]})),
    ("anthropic", sse({"delta": {"text": "event: message_stop"}}, name="content_block_delta")),
    ("anthropic", sse({"type": "content_block_delta", "delta": {"type": "message_stop"}})),
    ("anthropic", b"event: message_stop\n\n"),
    ("anthropic", b'event: message_stop\ndata: {"type":"mess'),
    ("anthropic", b"event: message_stopped\ndata: {}\n\n"),
    ("responses", sse({"type": "response.output_text.delta", "delta": "response.completed"})),
    ("responses", b'event: response.completed\ndata: {"type":"response.completed","resp'),
    ("ndjson", lines(SAID)),
    ("ndjson", lines(SAID, compact=True)),
    ("ndjson", lines({"message": {"content": '"done":true'}, "done": False}, compact=True)),
    ("ndjson", lines({"done": "true"}, {"done": False}, [{"done": True}], "done") + b"true\n"),
    ("ndjson", b'{"done":true,"context":[1,2'),
    ("ndjson", b'{"message":{"tool_calls":[{"function":{"arguments":{"done":true}}}]'),
]
FAILS: list[tuple[str, bytes]] = [
    ("openai", sse(chunk(), {"error": {"message": "gone"}}, "[DONE]")),
    ("openai", sse(chunk(), {"error": "gone"}, "[DONE]", blank="")),
    ("openai", sse(chunk(), {"object": "error", "message": "gone", "code": 400}, "[DONE]")),
    ("openai", sse(chunk("abort"), "[DONE]")),
    ("openai", sse(chunk("abort"), "[DONE]", end="\r\n")),
    ("openai", sse(chunk("error"), "[DONE]")),
    ("openai", sse(chunk()) + sse({"message": "gone"}, name="error") + sse("[DONE]")),
    ("openai", sse(chunk()) + b'error: {"code":500,"message":"gone"}\n\n' + sse("[DONE]")),
    ("anthropic", sse({"type": "error", "error": {}}, name="error") + sse({}, name="message_stop")),
    ("anthropic", sse({"type": "error", "error": {}}) + sse({"type": "message_stop"})),
    ("responses", sse({"type": "error", "message": "gone"}) + sse({"type": "response.failed"})),
    ("ndjson", lines({"error": "gone"}, DONE)),
    ("ndjson", lines(SAID, {**DONE, "error": "gone"}, DONE)),
]


def cuts(text: bytes) -> Iterator[list[bytes]]:
    """Yield the text in one piece, byte by byte, and cut in two at every place."""
    yield [text]
    if len(text) > 10_000:
        yield [text[at : at + 1000] for at in range(0, len(text), 1000)]
        return
    yield [text[at : at + 1] for at in range(len(text))]
    yield from ([text[:at], text[at:]] for at in range(1, len(text)))


def names(table: list[tuple[str, bytes]]) -> list[str]:
    return [f"{kind}-{text[:60]!a}-{number}" for number, (kind, text) in enumerate(table)]


@pytest.mark.parametrize(("kind", "text"), ENDS, ids=names(ENDS))
def test_an_end_is_seen_at_every_cut(kind: str, text: bytes) -> None:
    for pieces in cuts(text):
        assert seen(KINDS[kind], *pieces) == (True, False), pieces


@pytest.mark.parametrize(("kind", "text"), GOES_ON, ids=names(GOES_ON))
def test_text_that_resembles_an_end_is_ignored_at_every_cut(kind: str, text: bytes) -> None:
    for pieces in cuts(text):
        assert seen(KINDS[kind], *pieces) == (False, False), pieces


@pytest.mark.parametrize(("kind", "text"), FAILS, ids=names(FAILS))
def test_an_error_before_the_end_is_seen_at_every_cut(kind: str, text: bytes) -> None:
    for pieces in cuts(text):
        assert seen(KINDS[kind], *pieces) == (True, True), pieces


def reference(text: bytes) -> tuple[bool, bool]:
    """Read the whole stream of an OpenAI engine literally by the standard."""
    ended = failed = False
    lines = text.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for event in re.split(r"\n\n+", lines):
        data = [
            value.removeprefix(" ")
            for field, _, value in (line.partition(":") for line in event.split("\n"))
            if field == "data"
        ]
        if "\n".join(data).strip(" \n\r\t\v\f") == "[DONE]":
            ended = True
            continue
        try:
            said = json.loads("\n".join(data))
        except ValueError:
            continue
        if isinstance(said, dict):
            failed |= bool(said.get("error")) or any(
                isinstance(one, dict) and one.get("finish_reason") in ("abort", "error")
                for one in said.get("choices", [])
            )
    return ended, failed


PARTS = st.sampled_from(
    [
        *(
            "data",
            "data:",
            "data: ",
            "[DONE]",
            "\n",
            "\r\n",
            "\r",
            "\n\n",
            "\r\n\r\n",
            ": x",
            "id: 1\n",
            "é",
            "{",
            '"error"',
        ),
        *(
            '{"error":{}}',
            '{"error":"x"}',
            '{"a":{"error":1}}',
            json.dumps(chunk()),
            json.dumps(chunk("abort")),
            json.dumps(chunk("error")),
        ),
    ]
)
EVENTS = st.sampled_from(
    [text.decode() for text in (sse(chunk()), sse("[DONE]"), sse("[DONE]", end="\r\n"), sse({"error": "x"}), b"\n")]
)


@PROPERTY
@given(st.lists(PARTS | EVENTS, max_size=12).map("".join), st.data())
def test_any_stream_is_read_as_the_standard_reads_it(text: str, data: st.DataObject) -> None:
    raw = text.encode()
    places = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    pieces = [raw[a:b] for a, b in itertools.pairwise([0, *places, len(raw)])]
    assert seen(OPENAI, *pieces) == reference(raw)


@PROPERTY
@given(st.text("ab\r\n", max_size=40), st.data())
def test_lines_are_passed_on_whole_and_none_is_lost(text: str, data: st.DataObject) -> None:
    raw = text.encode()
    places = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    whole, passed = WholeLines(), b""
    for a, b in itertools.pairwise([0, *places, len(raw)]):
        passed += whole.take(raw[a:b])
        assert raw.startswith(passed)
        assert passed == b"" or passed.endswith((b"\r", b"\n"))
    assert passed + whole.rest() == raw


def test_a_line_too_long_to_hold_is_passed_on_as_it_comes() -> None:
    whole, piece = WholeLines(), b"a" * 2**16
    passed = [len(whole.take(piece)) for _ in range(6)]
    assert passed == [0, 0, 0, 4 * 2**16, 2**16, 2**16]
    assert whole.take(b"b\nc") == b"b\n"
    assert whole.take(b"\n") == b"c\n"


SCALARS = st.booleans() | st.none() | st.sampled_from(["", "x", '"done":true', "\n"])
LINES = st.dictionaries(
    st.sampled_from(["done", "error", "a", 'b"', "\n"]),
    st.recursive(
        SCALARS,
        lambda inner: st.dictionaries(st.sampled_from(["done", "error"]), inner) | st.lists(inner),
        max_leaves=5,
    ),
)


@PROPERTY
@given(st.lists(LINES, max_size=4), st.integers(0, 300))
def test_lines_are_read_as_json_reads_them(each: list[dict[str, object]], at: int) -> None:
    raw = lines(*each)
    failed = any(line.get("error") not in (None, False, "", {}) for line in each)
    ended = any(line.get("done") is True and line.get("error") in (None, False, "", {}) for line in each)
    assert seen(NDJSON, raw[:at], raw[at:]) == (ended, failed)


NOISE = [
    b"[",
    b'{"a":',
    b'"',
    b"\\",
    b"\n",
    b"\r",
    b"data: error\n\n",
    b'data: {"error":{}}\n\n',
    b'data: {"type":"message_stop","error":1}\n\n',
    b'{"done":true}\n',
    b"error",
    b"a: b\n",
    b'""\n\n',
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filler", some_of(NOISE))
def test_memory_and_work_are_bounded_whatever_an_engine_sends(kind: str, filler: bytes) -> None:
    one = watch_for(KINDS[kind], 200, b"text/event-stream" if kind != "ndjson" else b"application/x-ndjson")
    assert one is not None
    piece = (filler * (2**18 // len(filler) + 1))[: 2**18]
    worst = 0.0
    for start in (b"", b"data: {", b'{"error":'):
        one.see(start)
        for _ in range(5):
            began = time.thread_time()
            one.see(piece)
            worst = max(worst, time.thread_time() - began)
            assert len(one._open) <= watch.LONGEST
    began = time.thread_time()
    one.finish()
    assert max(worst, time.thread_time() - began) < TURN_SECONDS


def test_many_lines_in_one_read_do_not_hide_the_end() -> None:
    assert seen(NDJSON, lines(DONE) + b":true}\n" * 800) == (True, False)


def test_the_middle_of_an_event_that_is_too_long_is_not_read_with_its_end() -> None:
    begun = b'{"done":false,"message":{"content":"'
    assert seen(NDJSON, begun + b"a" * watch.LONGEST, b'"},"done":true}\n') == (False, False)
    assert seen(NDJSON, begun + b"a" * watch.LONGEST, b'"x":{"done":true}}\n', lines(DONE)) == (True, False)


def test_a_watch_costs_a_chunk_little() -> None:
    one = Watch(OPENAI.judge, OPENAI.hints, events=True)
    piece = sse(chunk())
    began = time.thread_time()
    for _ in range(20_000):
        one.see(piece)
    assert (time.thread_time() - began) / 20_000 < 50e-6
