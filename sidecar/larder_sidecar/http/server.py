"""The server side of HTTP/1.1: reads requests one by one, passes them to an application, writes the answers."""

import asyncio
from typing import Any, cast

from ..config.gateway import Limits
from .answer import Answer, error
from .application import Application
from .reader import RequestReader
from .registered import RegisteredConnection, too_many
from .registry import Registry
from .request import Request
from .shapes import shape_error

PIPELINED = 64
"""Limit for requests taken from a connection while an earlier one is answered."""
BURST_BYTES = 2**20
"""Limit for bytes read from one client in a turn of the loop."""


class ServerConnection(RegisteredConnection, asyncio.Protocol):
    """The connection of one client."""

    def __init__(self, app: Application[Any], limits: Limits, registry: Registry) -> None:
        super().__init__(limits, registry)
        self._app = app
        self.request: type[Request] = app.request
        self._reader = RequestReader(self, limits, registry)
        self._burst = 0
        """Bytes read since others had a turn."""

    # --- the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Add the client, or tell it that the limit is reached."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._registry.add(self):
            self._transport.write(too_many().encode(b"", keep_alive=False))
            self.close()
            return
        self.deadline = self.loop.time() + self._limits.idle_seconds

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the work for the client."""
        del exc
        self._registry.discard(self)
        self._reader.close()
        self._forget_queue()
        if (request := self._active) is not None:
            responder, self._responder = self._responder, None
            self._active = None
            if responder is not None:
                responder.client_gone()
            request.code = request.code or "client_gone"
            self._over(request)

    def data_received(self, data: bytes | memoryview) -> None:
        """Read on, and answer complete requests."""
        self._fresh = False
        reader = self._reader
        if reader.stopped:
            return
        self._unfed = reader.feed(data)
        self._burst += len(data)
        if self._unfed or self._burst >= BURST_BYTES:  # libuv reads up to 32 times before it serves other connections
            self._burst = 0
            if not self._transport.is_closing():
                self._transport.pause_reading()
                self.loop.call_soon(self._read_on)
        rested, self._resting = self._resting, reader.current is None and reader.completed > 0
        # Once: bytes that come one by one, or begin no request, do not extend the deadline.
        if (rested or reader.passed) and not self._resting:
            self._await_rest()
        if self._queue and self._active is None and not self.waits:
            self._next()

    def _read_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()
            unfed, self._unfed = self._unfed, b""
            if unfed:
                self.data_received(unfed)

    def eof_received(self) -> bool:
        """Close: a client that closes its sending side has gone in most cases."""
        return False

    def pause_writing(self) -> None:
        """Pause the responder: the client reads slower than the engine writes."""
        self.paused = True
        self._taken = self._sent()
        self.deadline = self.loop.time() + self._limits.body_seconds
        if self._responder is not None:
            self._responder.pause()

    def resume_writing(self) -> None:
        """Resume the responder."""
        self.paused = False
        self.deadline = self.loop.time() + self._limits.response_seconds
        if self._active is None:
            self.deadline = self.loop.time() + self._limits.idle_seconds if self._resting else self._read_by
        if self._responder is not None:
            self._responder.resume()

    # --- the reader

    def admit(self, request: Request) -> Answer | None:
        """Ask the application."""
        return self._app.admit(request)

    def request_read(self, request: Request) -> None:
        """Queue the request."""
        queue = self._queue
        if queue or self._active is not None:
            request.ahead = request.head_size()
            self._registry.held += request.ahead
            if len(queue) + 1 >= PIPELINED or self._registry.held > self._limits.buffered_bytes:
                request.last = True
                self._reader.stop()
        queue.append(request)

    # --- for responders

    def write(self, data: bytes) -> None:
        """Send bytes of the response in flight."""
        if self._active is None or self._transport.is_closing():
            return  # the client has just gone; connection_lost follows
        self._active.sent += len(data)
        self._transport.write(data)

    def keeps(self, request: Request) -> bool:
        """Tell if the connection stays open after the answer to `request`."""
        return request.keep_alive and not request.last and not self._app.closing()

    def identify(self, request: Request) -> bytes:
        """Return the headers for every response to this request, each with its line end."""
        return self._app.identify(request)

    def answer(self, request: Request, answer: Answer) -> None:
        """Write a whole response, and finish; do nothing if the client has gone meanwhile."""
        if self._active is not request:
            return
        answer = shape_error(answer, request)
        request.status = answer.status
        request.code = request.code or answer.code
        keep = self.keeps(request)
        self.write(answer.encode(self.identify(request), keep_alive=keep, body=request.method != "HEAD"))
        self.finish(keep=keep)

    def finish(self, *, keep: bool) -> None:
        """Go on to the next request or close: the response in flight is written."""
        request = self._active
        if request is None:
            return
        self._active = self._responder = None
        self._over(request)
        if not keep:
            self._end(linger=request.last)
            return
        self.deadline = self.loop.time() + self._limits.idle_seconds if self._resting else self._read_by
        if self._queue:
            self.waits = True
            self._registry.later(self)
        elif (reading := self._reader.current) is not None and reading.expects_continue:
            self._continue(reading)

    def abort(self) -> None:
        """Break the connection off, so that the client sees its response is not whole."""
        request, self._active, self._responder = self._active, None, None
        if request is not None:
            self._over(request)
        self._transport.abort()

    def turn(self) -> None:
        """Answer the next request that waits, unless its client has gone."""
        self.waits = False
        if self._queue and self._active is None and not self._transport.is_closing():
            self._next()

    # --- inside

    def _await_rest(self) -> None:
        """Set the deadline for the rest of the request; ask for its body if the client waits and it is its turn."""
        reading = self._reader.current
        in_body = reading is not None and reading.head_done
        self._read_by = self.loop.time() + (self._limits.body_seconds if in_body else self._limits.header_seconds)
        if self._active is None:
            self.deadline = self._read_by
            if reading is not None and reading.expects_continue and not self._queue:
                self._continue(reading)

    def _next(self) -> None:
        """Answer the first request in the queue. The others have their turns, one per turn of the loop."""
        request = self._active = self._queue.popleft()
        try:
            if request.refusal is not None:
                self.answer(request, request.refusal)
                return
            outcome = self._app.respond(request, self)
            if isinstance(outcome, Answer):
                self.answer(request, outcome)
                return
        except Exception as reason:  # noqa: BLE001 (any error is answered)
            self._failed(request, reason)
            return
        if self._active is request:
            self._responder = outcome

    def _over(self, request: Request) -> None:
        """Forget the request, even if counting it fails."""
        self._registry.held -= len(request.body) + request.ahead
        request.body, request.ahead = b"", 0
        try:
            self._app.finished(request)
        except Exception as reason:  # noqa: BLE001 (the connection goes on)
            self._report(request, reason)

    def _failed(self, request: Request, reason: Exception) -> None:
        message = self._report(request, reason)
        if self._active is not request:
            return
        if request.sent:
            self.abort()
            return
        request.forget_choice()
        self.answer(request, error(500, "internal", f"{message}; the log has the reason"))

    def _report(self, request: Request, reason: Exception) -> str:
        message = f"cannot answer {request.method} {request.path[:100]}"
        self.loop.call_exception_handler({"message": message, "exception": reason})
        return message

    def _continue(self, request: Request) -> None:
        request.expects_continue = False
        self.deadline = self._read_by = self.loop.time() + self._limits.body_seconds
        if not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
