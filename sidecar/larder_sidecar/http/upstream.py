"""The client side of HTTP/1.1: one connection to the engine."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import httptools

from .request import Headers

OVERHEAD_BYTES = 256 * 1024
"""Limit for a response's head, or for the overhead of its chunks: the parser holds all of it in memory."""


@dataclass(slots=True)
class ResponseHead:
    """Status and headers (names in lower case); `length` is None when chunks or the connection's end mark the end."""

    status: int
    headers: Headers
    length: int | None
    content_type: bytes = b""


class Owner(Protocol):
    """The receiver of the response on a connection."""

    def response_data(self, head: ResponseHead | None, pieces: list[bytes], *, done: bool) -> None:
        """Take the head when it is complete, the pieces of the body, and the end."""

    def response_lost(self, reason: str) -> None:
        """Take the early end of the connection."""


class Keeper(Protocol):
    """The pool of a connection."""

    def opened(self, connection: "UpstreamConnection") -> None:
        """Count a new connection."""

    def post(self, connection: "UpstreamConnection", request: Sequence[bytes | memoryview]) -> None:
        """Have the connection write this, together with others'."""

    def keep(self, connection: "UpstreamConnection") -> None:
        """Keep it for another request: its response is complete."""

    def forget(self, connection: "UpstreamConnection") -> None:
        """Remove a closed connection."""

    def failed(self) -> None:
        """Record that a connection, or a request on one, was refused now."""


class UpstreamConnection(asyncio.Protocol):
    """One connection to the engine; it carries one request at a time."""

    def __init__(self, keeper: Keeper, *, single: bool = False) -> None:
        """Take the pool. `single`: close after one answer in any case."""
        self._keeper = keeper
        self.single = single
        self._parser = httptools.HttpResponseParser(self)
        self._owner: Owner | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head: ResponseHead | None = None
        self._new_head = False
        self._pieces: list[bytes] = []
        self._overhead = 0
        """Bytes read since the last piece of a body."""
        self._done = False
        self._reusable = False
        self._fault = ""
        self._until_close = False
        self._connected = False
        self._abandoned = False
        self.answered = False
        """True if a byte of the response in flight has arrived: its request must not be sent again."""
        self.idle_since = 0.0

    def send(self, owner: Owner, request: Sequence[bytes | memoryview]) -> None:
        """Send a whole request; the owner receives the response."""
        self._owner = owner
        self._head = None
        self._overhead = 0
        self._until_close = self.answered = self._done = False
        self._keeper.post(self, request)

    def write(self, request: Sequence[bytes | memoryview]) -> None:
        """Send now, unless the answer is not wanted any more."""
        if self._transport.is_closing():
            return
        if len(request) == 1:
            self._transport.write(request[0])
        else:
            self._transport.writelines(request)

    def abandon(self) -> None:
        """Close, which makes an engine stop generating: the response is not wanted any more."""
        self._owner = None
        self._abandoned = True
        if self._connected:
            self._transport.abort()

    def turned_away(self) -> None:
        """Record that its request was not admitted, and others will not be for a while."""
        self._keeper.failed()
        self.abandon()

    def close(self) -> None:
        """Close an idle connection."""
        self._transport.close()

    @property
    def usable(self) -> bool:
        """Tell if a request may be sent on it."""
        return not self._transport.is_closing()

    def pause_reading(self) -> None:
        """Stop reading from the engine: its own writes will block."""
        if self.usable:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the engine again."""
        if self.usable:
            self._transport.resume_reading()

    # --- the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._connected = True
        if self._abandoned:
            self._transport.abort()
        else:
            self._keeper.opened(self)

    def data_received(self, data: bytes) -> None:
        """Parse, and tell the owner once about all that this read brought."""
        if self._owner is None:
            self._transport.abort()  # no request is in flight
            return
        self.answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as reason:
            self._fault = self._fault or f"the engine's answer is not HTTP/1.1: {reason}"
        owner, pieces = self._owner, self._pieces
        head = self._head if self._new_head else None
        self._new_head = False
        if pieces:
            self._pieces = []
            self._overhead = 0
        else:
            self._overhead += len(data)
            if self._overhead > OVERHEAD_BYTES and not self._fault:
                self._fault = f"the engine's answer has a head, or more beside its body, of over {OVERHEAD_BYTES} bytes"
        if self._fault and not self._done:
            self._owner = None
            self._transport.abort()
            if pieces and head is None:
                owner.response_data(None, pieces, done=False)
            owner.response_lost(self._fault)
        elif self._done:
            self._owner = None
            if self._reusable and not self._fault and not self._transport.get_write_buffer_size():
                self._keeper.keep(self)
            else:
                self._transport.close()
            owner.response_data(head, pieces, done=True)
        elif head is not None or pieces:
            owner.response_data(head, pieces, done=False)

    def eof_received(self) -> bool:
        """Let the transport close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, unless the end of the connection is the end of the response."""
        self._keeper.forget(self)
        owner, self._owner = self._owner, None
        if owner is not None:
            if self._until_close and exc is None:
                owner.response_data(None, [], done=True)
            else:
                owner.response_lost(
                    "the engine closed the connection" if exc is None else f"the connection to the engine broke: {exc}"
                )
        del self._parser  # parser and protocol refer to each other

    # --- the parser

    def on_message_begin(self) -> None:
        """Start a response."""
        if self._done:
            self._fault = "the engine sent more than one response"
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; trailers are dropped."""
        if self._head is None:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Judge the complete head; interim responses are skipped."""
        if self._done:
            return
        status = self._parser.get_status_code()
        if status < 200:
            if status == 101:
                self._fault = "the engine switched protocols"
            return
        length, chunked, content_type = None, False, b""
        for name, value in self._headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"content-type":
                content_type = value
            elif name == b"transfer-encoding":
                chunked = True
                if value.strip().lower() != b"chunked":
                    self._fault = "the engine answered in an unknown transfer coding"
        if status in (204, 304):
            length = 0
        self._until_close = length is None and not chunked
        self._head = ResponseHead(status, self._headers, length, content_type)
        self._new_head = True

    def on_body(self, piece: bytes) -> None:
        """Store a piece of the body, without chunk framing."""
        if not self._done:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Record the end of the response."""
        if self._head is not None:
            self._done = True
            self._reusable = self._parser.should_keep_alive() and not self.single
