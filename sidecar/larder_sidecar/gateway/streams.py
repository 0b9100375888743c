"""Kinds of streamed responses: how each ends, how to detect its end, and the bytes that report a failure."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..http.request import Headers
from .watch import Sign, Watch, json_object, top_level


@dataclass(frozen=True, slots=True)
class Stream:
    """A kind of stream."""

    framing: Literal["sse", "ndjson"]
    judge: Callable[[bytes, bytes], Sign]
    """Returns the meaning of an event of this name and data; for a line the name is b''."""
    hints: tuple[bytes, ...]
    """Bytes of events to inspect; events without any of them have no meaning here."""

    def failure(self, message: str, last: bytes) -> bytes:
        """Return the bytes, after `last` was sent, that report an incomplete answer to the client."""
        if self.framing == "ndjson":
            return (b"" if last.endswith(b"\n") else b"\n") + json.dumps({"error": message}).encode() + b"\n"
        fault: dict[str, object] = {
            "error": {"message": message, "type": "server_error", "code": "upstream_failed", "param": None}
        }
        name = b""
        if self is ANTHROPIC:
            fault = {"type": "error", "error": {"type": "api_error", "message": message}}
            name = b"event: error\n"
        elif self is RESPONSES:  # OpenAI's clients raise their exceptions from `error` in it
            details = {"code": "upstream_failed", "message": message, "param": None, "sequence_number": 0}
            fault = {"type": "error", **details, **fault}
            name = b"event: error\n"
        begun = b"" if last.endswith(b"\n\n") else b"\n" if last.endswith(b"\n") else b"\n\n"
        return begun + name + b"data: " + json.dumps(fault).encode() + b"\n\n"


def _openai(name: bytes, data: bytes) -> Sign:
    if data.strip() == b"[DONE]":
        return Sign.END
    members = top_level(data, "error", "object", "choices")
    # An older vLLM's errors have no `error`, but `"object": "error"`.
    if name == b"error" or members.get("error") or members.get("object") == b'"error"':
        return Sign.ERROR
    # vLLM sends [DONE] also after it has aborted a request.
    return Sign.ABORT if (b'"abort"' in data or b'"error"' in data) and _is_aborted(data) else Sign.NONE


def _is_aborted(data: bytes) -> bool:
    choices = (json_object(data) or {}).get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and choice.get("finish_reason") in ("abort", "error") for choice in choices
    )


def _judge_by_name(*ends: bytes) -> Callable[[bytes, bytes], Sign]:
    """Return a judge by the event's name or its `type`: a client reads one or the other."""

    def judge(name: bytes, data: bytes) -> Sign:
        names = (name, top_level(data, "type").get("type", b"").strip(b'"'))
        if any(one in ends for one in names):
            return Sign.END
        return Sign.ERROR if b"error" in names else Sign.NONE

    return judge


def _line(_name: bytes, data: bytes) -> Sign:
    members = top_level(data, "done", "error")
    if members.get("error"):
        return Sign.ERROR
    return Sign.END if members.get("done") == b"true" else Sign.NONE


_RESPONSE = (b"response.completed", b"response.incomplete", b"response.failed", b"response.cancelled")
OPENAI = Stream("sse", _openai, (b"[DONE]", b"error", b'"abort"'))
ANTHROPIC = Stream("sse", _judge_by_name(b"message_stop"), (b"message_stop", b"error"))
RESPONSES = Stream("sse", _judge_by_name(*_RESPONSE), (*_RESPONSE, b"error"))
NDJSON = Stream("ndjson", _line, (b"true", b"error"))

_CONTENT_TYPES = {"sse": b"text/event-stream", "ndjson": b"application/x-ndjson"}


def watch_for(stream: Stream | None, status: int, content_type: bytes, headers: Headers = ()) -> Watch | None:
    """Return a watch for a response that is a readable stream of the route's kind; None for others.

    A compressed stream passes unchanged, because nothing can be added to it.
    """
    if stream is None or status != 200 or not content_type.lower().startswith(_CONTENT_TYPES[stream.framing]):
        return None
    if any(name == b"content-encoding" and value.lower() not in (b"", b"identity") for name, value in headers):
        return None
    return Watch(stream.judge, stream.hints, events=stream.framing == "sse")
