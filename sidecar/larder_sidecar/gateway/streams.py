"""Streamed responses: how each kind ends, how to tell that it did, and what to add when it did not."""

import json
from dataclasses import dataclass
from typing import Literal

_WINDOW = 48
"""Longer than every marker, so that one cut by a read is still found."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A kind of stream. The markers begin with a line end or an unescaped quote: no text inside JSON can hold them."""

    framing: Literal["sse", "ndjson"]
    ends: tuple[bytes, ...]
    errors: tuple[bytes, ...]

    def failure(self, message: str, last: bytes) -> bytes:
        """What tells the client, after `last` has been sent, that the answer is not whole."""
        if self.framing == "ndjson":
            return (b"" if last.endswith(b"\n") else b"\n") + json.dumps({"error": message}).encode() + b"\n"
        fault: dict[str, object] = {
            "error": {"message": message, "type": "server_error", "code": "upstream_failed", "param": None}
        }
        name = b""
        if self is ANTHROPIC:
            fault = {"type": "error", "error": {"type": "api_error", "message": message}}
            name = b"event: error\n"
        elif self is RESPONSES:  # `error` beside it is what OpenAI's clients raise their exceptions from
            told = {"code": "upstream_failed", "message": message, "param": None, "sequence_number": 0}
            fault = {"type": "error", **told, **fault}
            name = b"event: error\n"
        begun = b"" if last.endswith(b"\n\n") else b"\n" if last.endswith(b"\n") else b"\n\n"
        return begun + name + b"data: " + json.dumps(fault).encode() + b"\n\n"


OPENAI = Stream("sse", (b"\ndata: [DONE]", b"\ndata:[DONE]"), (b'\ndata: {"error":',))
ANTHROPIC = Stream("sse", (b"\nevent: message_stop",), (b"\nevent: error",))
RESPONSES = Stream(
    "sse",
    (b"\nevent: response.completed", b"\nevent: response.incomplete", b"\nevent: response.failed"),
    (b"\nevent: error",),
)
NDJSON = Stream("ndjson", (b'"done":true', b'"done": true'), (b'\n{"error":',))

_CONTENT_TYPES = {"sse": b"text/event-stream", "ndjson": b"application/x-ndjson"}


class Watch:
    """Sees the bytes of one stream go by."""

    __slots__ = ("_ends", "_last", "ended", "errored", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._ends = stream.ends
        self._last = b"\n"
        self.ended = False
        self.errored = False

    def see(self, piece: bytes) -> None:
        """The next bytes of the body."""
        window = self._last + piece
        for marker in self._ends:
            if marker in window:
                self.ended = True
        for marker in self.stream.errors:
            if marker in window:
                self.errored = True
        self._last = window[-_WINDOW:]

    def failure(self, message: str) -> bytes:
        """The event or line to append."""
        return self.stream.failure(message, self._last)


def watch_for(stream: Stream | None, status: int, content_type: bytes) -> Watch | None:
    """A watch if the response is a stream of the kind that the route may answer with."""
    if stream is None or status != 200 or not content_type.lower().startswith(_CONTENT_TYPES[stream.framing]):
        return None
    return Watch(stream)
