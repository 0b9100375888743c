"""The server side of HTTP/1.1: reads requests one by one, holds them to their limits, hands them to an application."""

import asyncio
import math
import re
from collections import deque
from typing import Protocol, cast

import httptools

from ...config.gateway import Limits
from .answer import RETRY_SOON, Answer, error
from .registry import Registry
from .request import Request, read_head

HEAD_BYTES = 32 * 1024
PIPELINED = 64
"""Requests taken from a connection while an earlier one is being answered."""
LINGER_SECONDS = 2.0
_UPGRADE = re.compile(rb"^upgrade[ \t]*:", re.IGNORECASE | re.MULTILINE)


class Responder(Protocol):
    """Whatever is answering the request in flight."""

    def client_gone(self) -> None:
        """The client closed its side: stop the work."""

    def pause(self) -> None:
        """The client reads slower than we write."""

    def resume(self) -> None:
        """The client has caught up."""

    def expire(self) -> None:
        """The connection's deadline, set by the responder itself, has passed."""


class Application(Protocol):
    """What stands behind a listener."""

    def closing(self) -> bool:
        """Whether every response says `Connection: close`."""

    def admit(self, request: Request) -> Answer | None:
        """Look at a complete head: None to have the body read, an answer to refuse."""

    def respond(self, request: Request, client: "ServerConnection") -> Responder | None:
        """Answer a complete request: at once, or through the responder that is returned."""

    def finished(self, request: Request) -> None:
        """The response is written, or the client has gone."""

    def identify(self, request: Request) -> list[tuple[bytes, bytes]]:
        """The headers that every response to this request carries."""


class ServerConnection(asyncio.Protocol):
    """One client."""

    def __init__(self, app: Application, limits: Limits, registry: Registry) -> None:
        self._app = app
        self._limits = limits
        self._registry = registry
        self._parser = httptools.HttpRequestParser(self)
        self._reading: Request | None = None
        self._pieces: list[bytes] = []
        self._head_bytes = 0
        self._queue: deque[Request] = deque()
        self._active: Request | None = None
        self._responder: Responder | None = None
        self._deaf = False
        """What arrives is thrown away: the connection closes after the answers that are due."""
        self._lingering = False
        self._stalled = 0
        self._upgrade = False
        self.paused = False
        self.deadline = math.inf
        self.loop = asyncio.get_running_loop()

    # --- the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the client in, or tell it that there are enough."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._registry.add(self):
            answer = error(
                503, "too_many_connections", "the gateway has all the connections it may hold", headers=RETRY_SOON
            )
            self._transport.write(answer.encode([], keep_alive=False))
            self._transport.close()
            self._deaf = True
            return
        self.deadline = self.loop.time() + self._limits.idle_seconds

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop what is being done for the client."""
        del exc
        self._registry.discard(self)
        self._deaf = True
        self._release(self._reading)
        while self._queue:
            self._release(self._queue.popleft())
        self._reading = None
        if (request := self._active) is not None:
            responder, self._responder = self._responder, None
            self._active = None
            if responder is not None:
                responder.client_gone()
            if not request.code:
                request.code = "client_gone"
            self._release(request)
            self._app.finished(request)
        del self._parser  # parser and protocol refer to each other

    def data_received(self, data: bytes) -> None:
        """Read on, and answer what is complete."""
        if self._deaf:
            return
        if self._reading is None and self._active is None:
            self.deadline = self.loop.time() + self._limits.header_seconds
        self._feed(data)
        reading = self._reading
        if reading is not None and not reading.head_done and not self._deaf:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._reject(_head_too_large())
        if self._active is None:
            self._next()

    def eof_received(self) -> bool:
        """A client that closes its sending side has gone: most of those that leave look like this."""
        return False

    def pause_writing(self) -> None:
        """The client reads slower than the engine writes."""
        self.paused = True
        self._stalled = self._transport.get_write_buffer_size()
        self.deadline = self.loop.time() + self._limits.body_seconds
        if self._responder is not None:
            self._responder.pause()

    def resume_writing(self) -> None:
        """Go on."""
        self.paused = False
        self.deadline = self.loop.time() + self._limits.response_seconds
        if self._responder is not None:
            self._responder.resume()

    # --- the parser

    def on_message_begin(self) -> None:
        """Start a request."""
        self._reading = Request()
        self._pieces = []
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        if self._reading is not None:
            self._reading.target += url
            self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; trailers are dropped."""
        request = self._reading
        if request is None or request.head_done:
            return
        self._head_bytes += len(name) + len(value) + 4
        request.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Decide whether the body is worth reading."""
        request = self._reading
        if request is None or self._deaf:
            return
        request.head_done = True
        request.method = self._parser.get_method().decode()
        request.keep_alive = self._parser.should_keep_alive()
        if self._parser.should_upgrade():
            self._upgrade = True
            return
        if self._head_bytes > HEAD_BYTES:
            request.refusal = _head_too_large()
        else:
            request.refusal = read_head(request, self._parser.get_http_version())
        if request.refusal is not None:
            self._cut(request)
            return
        request.refusal = self._app.admit(request)
        if request.refusal is None and (request.content_length or 0) > self._limits.body_bytes:
            request.refusal = self._too_large()
        if request.refusal is not None and (request.expects_continue or (request.content_length or 0) > HEAD_BYTES):
            self._cut(request)  # not worth the upload
        elif request.expects_continue and self._active is None and not self._queue:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.expects_continue = False
        self.deadline = self.loop.time() + self._limits.body_seconds

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        request = self._reading
        if request is None or self._deaf:
            return
        request.received += len(piece)
        if request.received > self._limits.body_bytes:
            request.refusal = request.refusal or self._too_large()
            self._cut(request)
        elif request.refusal is None:
            self._registry.held += len(piece)
            self._pieces.append(piece)
            if self._registry.held > self._limits.buffered_bytes:
                request.refusal = error(503, "overloaded", "too many large requests at once", headers=RETRY_SOON)
                self._cut(request)

    def on_message_complete(self) -> None:
        """A request is whole."""
        request = self._reading
        if request is None or self._deaf or self._upgrade:
            return
        self._reading = None
        request.body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        self._queue.append(request)
        if len(self._queue) >= PIPELINED:
            request.last = True
            self._deaf = True

    # --- for responders

    @property
    def busy(self) -> bool:
        """Whether a request is being read or answered."""
        return self._active is not None or self._reading is not None or bool(self._queue)

    def write(self, data: bytes) -> None:
        """Send bytes of the response in flight."""
        if self._active is None or self._transport.is_closing():
            return  # the client has just gone; connection_lost is on its way
        self._active.sent += len(data)
        self._transport.write(data)

    def keeps(self, request: Request) -> bool:
        """Whether the connection stays open after the answer to `request`."""
        return request.keep_alive and not request.last and not self._app.closing()

    def answer(self, request: Request, answer: Answer) -> None:
        """Write a whole response, and finish; nothing if the client has gone meanwhile."""
        if self._active is not request:
            return
        request.status = answer.status
        request.code = request.code or answer.code
        keep = self.keeps(request)
        self.write(answer.encode(self._app.identify(request), keep_alive=keep, body=request.method != "HEAD"))
        self.finish(keep=keep)

    def finish(self, *, keep: bool) -> None:
        """The response in flight is written: go on to the next request or close."""
        request = self._active
        if request is None:
            return
        nested = self._responder is None
        self._active = self._responder = None
        self._release(request)
        self._app.finished(request)
        if not keep:
            self._end(linger=request.last)
            return
        self.deadline = self.loop.time() + (self._limits.header_seconds if self._reading else self._limits.idle_seconds)
        if not nested:
            self._next()

    def release_body(self, request: Request) -> None:
        """The body is not needed any more."""
        self._release(request)

    def abort(self) -> None:
        """Break the connection off, so that the client sees its response is not whole."""
        request, self._active, self._responder = self._active, None, None
        if request is not None:
            self._release(request)
            self._app.finished(request)
        self._transport.abort()

    def close(self) -> None:
        """Close as soon as everything written is sent."""
        self._deaf = True
        self._transport.close()

    def expire(self, now: float) -> None:
        """A deadline has passed: which one depends on what the connection was doing."""
        if self._active is not None:
            if self.paused and (size := self._transport.get_write_buffer_size()) < self._stalled:
                self._stalled = size  # slow, not dead
                self.deadline = now + self._limits.body_seconds
            elif self.paused:
                self._active.code = "client_stalled"
                self._transport.abort()
            elif self._responder is not None:
                self._responder.expire()
        elif self._reading is not None and not self._deaf:
            what = "body" if self._reading.head_done else "head"
            self._reject(error(408, "request_timeout", f"the request's {what} did not arrive in time"))
            self._next()
        else:
            self._transport.abort()

    # --- inside

    def _next(self) -> None:
        """Answer what waits, in order, until one takes its time."""
        while self._active is None and self._queue:
            request = self._active = self._queue.popleft()
            if request.refusal is not None:
                self.answer(request, request.refusal)
                continue
            responder = self._app.respond(request, self)
            if self._active is request:
                self._responder = responder
        reading = self._reading
        idle = self._active is None and not self._deaf and not self._transport.is_closing()
        if idle and reading is not None and reading.expects_continue:
            reading.expects_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _too_large(self) -> Answer:
        return error(413, "request_too_large", f"the body is larger than {self._limits.body_bytes} bytes")

    def _reject(self, answer: Answer) -> None:
        """What is being read is wrong: answer it in its turn, and close."""
        if self._deaf:
            return
        request = self._reading or Request()
        request.refusal = answer
        self._cut(request)

    def _cut(self, request: Request) -> None:
        """Read no further; `request` is the last one."""
        self._deaf = request.last = True
        self._release(request)
        self._reading = None
        self._queue.append(request)

    def _release(self, request: Request | None) -> None:
        if request is not None:
            self._registry.held -= len(request.body)
            request.body = b""
        if request is self._reading:
            self._registry.held -= sum(map(len, self._pieces))
            self._pieces = []

    def _end(self, *, linger: bool) -> None:
        """Close; when the client may still be sending, give it time to read the answer before the reset reaches it."""
        self._deaf = True
        while self._queue:  # asked after a request that said it was the last
            self._release(self._queue.popleft())
        if not linger or not self._transport.can_write_eof() or self._transport.is_closing():
            self._transport.close()
            return
        self._transport.write_eof()
        self.deadline = self.loop.time() + LINGER_SECONDS

    def _feed(self, data: bytes) -> None:
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade:
                self._upgrade = False
                self._parser = httptools.HttpRequestParser(self)
                self._parser.feed_data(self._without_upgrade(data))
        except httptools.HttpParserError as reason:
            self._reject(error(400, "bad_request", f"not HTTP/1.1: {reason}"))

    def _without_upgrade(self, data: bytes) -> bytes:
        """The same request offering no upgrade, to be read again: RFC 9110 7.8 lets us ignore the offer.

        Java's client offers h2c with each request, and llhttp takes a request with an upgrade to have no body.
        """
        head, separator, rest = data.partition(b"\r\n\r\n")
        request = self._reading
        if (
            request is None
            or request.method == "CONNECT"
            or self._queue
            or b" HTTP/1." not in head.split(b"\r\n", 1)[0]
        ):
            msg = "protocol upgrades are not offered here"
            raise httptools.HttpParserError(msg)
        return _UPGRADE.sub(b"x-not-upgraded:", head) + separator + rest


def _head_too_large() -> Answer:
    return error(431, "headers_too_large", f"the request's head is larger than {HEAD_BYTES} bytes")
