"""The registry's view of a client's connection: its deadlines, and how it makes room for others."""

import abc
import asyncio
import fcntl
import math
import termios
import time
from collections import deque

from ..config.gateway import Limits
from .answer import RETRY_SOON, Answer, error
from .application import Responder
from .body import MOVE_BYTES, overloaded
from .reader import RequestReader
from .registry import STALE_SECONDS, Registry
from .request import Request

LINGER_SECONDS = 2.0
LEAST_RATE = 1024
"""Bytes per second of an answer that a client has to take."""


class RegisteredConnection(abc.ABC):
    """The state of one connection, and the decisions that the registry asks of it."""

    _reader: RequestReader
    _transport: asyncio.Transport

    def __init__(self, limits: Limits, registry: Registry) -> None:
        self._limits = limits
        self._registry = registry
        self._queue: deque[Request] = deque()
        self._active: Request | None = None
        self._responder: Responder | None = None
        self._unfed: bytes | memoryview = b""
        """Bytes that wait for another turn of the loop."""
        self._taken = 0
        """Bytes of the answer that a slow client had taken when its deadline was last checked."""
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

    @abc.abstractmethod
    def abort(self) -> None:
        """Break the connection off, so that the client sees its response is not whole."""

    @abc.abstractmethod
    def _next(self) -> None:
        """Answer the first request in the queue."""

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
    def accepts_requests(self) -> bool:
        """Tell if it will answer another request."""
        return not (self._reader.stopped or self._transport.is_closing())

    def retire(self) -> None:
        """Close if it is idle, so that a request which crosses the end is not reset."""
        if self.accepts_requests and not (self.busy or self._fresh or self._unread()):
            self._end(linger=True)

    def used_share(self, now: float) -> float:
        """Return the fraction of its client's time that is used up; -inf if the connection must stay."""
        if self._active is not None:
            return -1 / (1 + self._active.seconds()) if self._active.yields else -math.inf
        reading = self._reader.current
        if self._queue:
            return -math.inf
        if self._resting or self._reader.stopped:
            return 1 - (self.deadline - now) / max(self._limits.idle_seconds, 1)
        if reading is None or not reading.head_done:
            return 1 - (self._read_by - now) / max(self._limits.header_seconds, 1)
        still = time.monotonic() - self._moved(reading)
        if still < STALE_SECONDS and reading.received >= MOVE_BYTES:
            return -math.inf
        return still / max(self._limits.body_seconds, 1)

    def make_room(self) -> bool:
        """Close at once, unless the client has just sent a request; return True if closed."""
        if self.accepts_requests and self._unread():
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

    def seconds_without_growth(self, now: float) -> float:
        """Return the seconds since its waiting bodies grew, 0 without any; `now` is monotonic."""
        reading = self._reader.current
        if reading is not None and self._reader.body:
            return now - self._moved(reading)
        if self._active is not None and any(request.body for request in self._queue):
            return now - self._moved(self._queue[-1])
        return 0.0

    def discard_bodies(self) -> None:
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
            self._reader.reject(
                error(408, "request_timeout", f"the request's {what} did not arrive in time. Fix: send it again")
            )
            self._next()
        else:
            self._transport.abort()

    def close(self) -> None:
        """Close as soon as everything written is sent."""
        self._reader.stop()
        self._transport.close()

    def release_body(self, request: Request) -> None:
        """Free the body, which is not needed any more."""
        self._registry.held -= len(request.body) + request.ahead
        request.body, request.ahead = b"", 0

    # --- inside

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

    def _moved(self, request: Request) -> float:
        return self._reader.body.moved if request.received >= MOVE_BYTES else request.started

    def _unread(self) -> bool:
        """Tell if there are bytes of the client that the loop has not read yet."""
        if self._unfed:
            return True
        count = fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
        return any(count)

    def _sent(self) -> int:
        """Return the bytes of the answer that have left, plus a constant."""
        return (self._active.sent if self._active else 0) - self._transport.get_write_buffer_size()

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
    message = "the gateway has reached its limit of connections. Fix: try again"
    return error(503, "too_many_connections", message, headers=RETRY_SOON)
