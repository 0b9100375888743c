"""`POST /v1/generate`: a completion in the format of the download service, `{"model": …, "response": …}`."""

import json

from ..engines.adapter import describe_failure
from ..http.answer import Answer, document, error
from ..http.upstream import ResponseHead
from .exchange import Exchange

LARGEST = 512 * 1024
"""Limit for an engine's whole answer, in bytes: 20 ms to decode at the worst. A stream has no limit."""


class Generation(Exchange):
    """Turns the engine's answer into the one that clients of this path read. Streams stay as they are."""

    __slots__ = ("_collected", "_status")

    _collected: bytearray | None
    _status: int

    def start(self) -> None:
        """Send the request."""
        self._collected, self._status = None, 0
        super().start()

    def response_data(self, head: ResponseHead | None, pieces: list[bytes], *, done: bool) -> None:
        """Collect the answer until it is whole."""
        if head is not None and not self._begun and not head.content_type.lower().startswith(b"text/event-stream"):
            self._collected, self._status = bytearray(), head.status
            request = self._request
            self._line.metrics.first_byte(request.operation, request.model, request.seconds())
        if self._collected is None:
            super().response_data(head, pieces, done=done)
            return
        if self._over:
            return
        if done:
            self._upstream = None
        for piece in pieces:
            self._collected += piece
        if len(self._collected) > LARGEST:
            self._fail(502, "engine_error", f"the engine's answer has more than {LARGEST} bytes: ask for a stream")
        elif done:
            self._over = True
            self._client.answer(self._request, generated(self._request.model, self._status, bytes(self._collected)))
        else:
            self._client.deadline = self._client.loop.time() + self._line.limits.response_seconds


def generated(model: str, status: int, body: bytes) -> Answer:
    """Return the answer to a client, from an engine's answer to a completion."""
    if status != 200:
        return error(
            status if status >= 400 else 502, "engine_error", f"the engine answered {describe_failure(status, body)}"
        )
    try:
        answer = json.loads(body, parse_constant=lambda _: None)  # NaN is no JSON
        choice = answer["choices"][0]
        text = choice["text"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        text = None
    if not isinstance(text, str):
        return error(502, "engine_error", "the engine's answer has no text")
    more = {"finish_reason": choice.get("finish_reason"), "usage": answer.get("usage")}
    return document({"model": model, "response": text, **more})
