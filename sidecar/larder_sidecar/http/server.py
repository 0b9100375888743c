"""The server side of HTTP/1.1: reads requests one by one, passes them to an application, writes the answers."""

import asyncio
import fcntl
import math
import termios
import time
from collections import deque
from typing import Any, cast

from ..config.gateway import Limits
from .answer import RETRY_SOON, Answer, error
from .application import Application, Responder
from .body import MOVE_BYTES, overloaded
from .reader import RequestReader
from .registry import STALE_SECONDS, Registry
from .request import Request
from .shapes import shaped

PIPELINED = 64
"""Limit for requests taken from a connection while an earlier one is answered."""
LINGER_SECONDS = 2.0
BURST_BYTES = 2**20
"""Limit for bytes read from one client in a turn of the loop."""
LEAST_RATE = 1024
"""Bytes per second of an answer that a client has to take."""


class ServerConnection(asyncio.Protocol):
    """The connection of one client."""

    def __init__(self, app: Application[Any], limits: Limits, registry: Registry) -> None:
        self._app = app
        self.request: type[Request] = app.request
        self._limits = limits
        self._registry = registry
        self._reader = RequestReader(self, limits, registry)
        self._queue: deque[Request] = deque()
        self._active: Request | None = None
        self._responder: Responder | None = None
        self._burst = 0
        """Bytes read since others had a turn."""
        self._unfed: bytes | memoryview = b""
        """Bytes that wait for another turn of the loop."""
        self._taken = 0
        """Bytes of the answer that a slow client had taken when its deadline was last looked at."""
        self.paused = False
        self._fresh = True
        """True until its first byte."""
        self._resting = True
        """True if no byte has come since the last request was complete."""
        self._read_by = math.inf
        """Loop time by which the head or the body that is being read has to be complete."""
        self.waits = False
        """True if it has asked for a turn."""
        self.deadline = math.inf
        self.loop = asyncio.get_running_loop()

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
        if reader.deaf:
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

    @property
    def busy(self) -> bool:
        """Tell if a request is being read or answered, or an answer is not sent yet."""
        return (
            self._active is not None
            or self._reader.current is not None
            or bool(self._queue)
            or self._transport.get_write_buffer_size() > 0
        )

    @property
    def hears(self) -> bool:
        """Tell if it will answer another request."""
        return not (self._reader.deaf or self._transport.is_closing())

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
        answer = shaped(answer, request)
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

    def release_body(self, request: Request) -> None:
        """Free the body, which is not needed any more."""
        self._registry.held -= len(request.body) + request.ahead
        request.body, request.ahead = b"", 0

    def abort(self) -> None:
        """Break the connection off, so that the client sees its response is not whole."""
        request, self._active, self._responder = self._active, None, None
        if request is not None:
            self._over(request)
        self._transport.abort()

    def close(self) -> None:
        """Close as soon as everything written is sent."""
        self._reader.stop()
        self._transport.close()

    def retire(self) -> None:
        """Close if it is idle, so that a request which crosses the end is not reset."""
        if self.hears and not (self.busy or self._fresh or self._unread()):
            self._end(linger=True)

    def waited(self, now: float) -> float:
        """Return the fraction of its client's time that is used up; -inf if the connection must stay."""
        if self._active is not None:
            return -1 / (1 + self._active.seconds()) if self._active.yields else -math.inf
        reading = self._reader.current
        if self._queue:
            return -math.inf
        if self._resting or self._reader.deaf:
            return 1 - (self.deadline - now) / max(self._limits.idle_seconds, 1)
        if reading is None or not reading.head_done:
            return 1 - (self._read_by - now) / max(self._limits.header_seconds, 1)
        still = time.monotonic() - self._moved(reading)
        if still < STALE_SECONDS and reading.received >= MOVE_BYTES:
            return -math.inf
        return still / max(self._limits.body_seconds, 1)

    def make_room(self) -> bool:
        """Close at once, unless the client has just sent a request; return True if closed."""
        if self.hears and self._unread():
            return False
        if self._active is None and self._reader.current is not None:
            self._reader.reject(too_many())
            self._next()
        if self._responder is not None:
            self._responder.client_gone()
        if self._active is not None or self._transport.get_write_buffer_size():
            self.abort()  # it may never read its answer
        else:
            self.close()
        return True

    def stands_still(self, now: float) -> float:
        """Return the seconds since its waiting bodies grew, 0 without any; `now` is monotonic."""
        reading = self._reader.current
        if reading is not None and self._reader.body:
            return now - self._moved(reading)
        if self._active is not None and any(request.body for request in self._queue):
            return now - self._moved(self._queue[-1])
        return 0.0

    def shed(self) -> None:
        """Refuse the requests whose bodies wait, and discard the bodies."""
        if self._active is not None:
            for request in self._queue:
                if request.body:
                    self.release_body(request)
                    request.refusal = overloaded()
        if self._reader.body:
            self._reader.reject(overloaded())
            if self._active is None and not self.waits:
                self._next()

    def expire(self, now: float) -> None:
        """Act on a deadline, by the state of the connection."""
        reading = self._reader.current
        if self._active is not None:
            self._expire_response(self._active, now)
        elif self._queue:
            return  # it waits for its turn
        elif reading is not None:
            what = "body" if reading.head_done else "head"
            self._reader.reject(error(408, "request_timeout", f"the request's {what} did not arrive in time"))
            self._next()
        else:
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

    def _moved(self, request: Request) -> float:
        return self._reader.body.moved if request.received >= MOVE_BYTES else request.started

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
        self.answer(request, error(500, "internal", f"{message}; the log says why"))

    def _report(self, request: Request, reason: Exception) -> str:
        message = f"cannot answer {request.method} {request.path[:100]}"
        self.loop.call_exception_handler({"message": message, "exception": reason})
        return message

    def _unread(self) -> bool:
        """Tell if there are bytes of the client that the loop has not read yet."""
        if self._unfed:
            return True
        count = fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
        return any(count)

    def _continue(self, request: Request) -> None:
        request.expects_continue = False
        self.deadline = self._read_by = self.loop.time() + self._limits.body_seconds
        if not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _sent(self) -> int:
        """Return the bytes of the answer that have left, plus a constant."""
        return (self._active.sent if self._active else 0) - self._transport.get_write_buffer_size()

    def _expire_response(self, request: Request, now: float) -> None:
        if not self.paused:
            if self._responder is not None:
                self._responder.expire()
            return
        taken = self._sent()
        if taken - self._taken >= LEAST_RATE * self._limits.body_seconds:  # slow, not dead
            self._taken = taken
            self.deadline = now + self._limits.body_seconds
        else:
            request.code = "client_stalled"
            self._transport.abort()

    def _forget_queue(self) -> None:
        while self._queue:
            self.release_body(self._queue.popleft())

    def _end(self, *, linger: bool) -> None:
        """Close; if the client may still be sending, give it time to read the answer before the reset reaches it."""
        self._reader.stop()
        self._forget_queue()  # they follow a request that declared itself the last
        if not linger or not self._transport.can_write_eof() or self._transport.is_closing():
            self._transport.close()
            return
        self._transport.write_eof()
        self.deadline = self.loop.time() + LINGER_SECONDS


def too_many() -> Answer:
    """Return the answer for a client that finds no room among the connections, or has to make room."""
    message = "the gateway has reached its limit of connections"
    return error(503, "too_many_connections", message, headers=RETRY_SOON)
