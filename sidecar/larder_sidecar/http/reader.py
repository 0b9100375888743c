"""Reader for the requests of one connection, which enforces limits while they arrive."""

import asyncio
from typing import Protocol

import httptools

from ..config.gateway import Limits
from .answer import Answer, error
from .body import Body, overloaded
from .headers import render
from .registry import Registry
from .request import Request, read_head

HEAD_BYTES = 32 * 1024
_USUAL_HEAD = 4096
"""Bytes in which nearly all heads end."""
MOST_HEADERS = 256
"""Limit for headers: each costs a parser, a filter and an engine more than its bytes."""
MOST_PIECES = 2048
"""Limit for pieces of bodies in one turn of the loop; the rest of a read waits for the next turn."""
_NO_REST = memoryview(b"")
_START_LINE = 256
"""Allowance in bytes for parts of a head that do not count: the method, the version, line ends."""


class Consumer(Protocol):
    """The receiver of the requests."""

    request: type[Request]
    """The class of its requests."""

    def admit(self, request: Request) -> Answer | None:
        """Judge a complete head: None to have the body read, an answer to refuse."""

    def request_read(self, request: Request) -> None:
        """Queue a request that is complete, or refused, for its answer."""


class _StoppedError(Exception):
    """Ends the parser's work on a read whose rest is not wanted."""


class RequestReader:
    """Turns bytes into requests."""

    def __init__(self, consumer: Consumer, limits: Limits, registry: Registry) -> None:
        self._consumer = consumer
        self._limits = limits
        self._parser = self._new_parser()
        self.body = Body(limits, registry)
        self._overhead = 0
        """Read since the last request was whole or the last byte of its body came, or more: an upper bound that costs
        one addition a read. Heads, but chunk extensions and trailers as well."""
        self._uncounted = 0
        """The same for the part of a head that came in one read with the end of another request."""
        self._odd_coding = False
        """True if a tab follows the head's Transfer-Encoding: the parser ignores it then, and reads to the end."""
        self._odd_trailer = False
        """True if the trailers have a Content-Length, which the parser may take for that of the next request."""
        self._again = b""
        """Head to read again in place of the one that has just been read, whose body the parser will not read."""
        self._unread: list[bytes] = []
        """Bytes after that head."""
        self.completed = 0
        """Requests that the last read completed."""
        self.passed = False
        """True if a head has passed in it; if that request is still being read, its body comes next."""
        self._pieces = 0
        """Pieces of bodies in it."""
        self.current: Request | None = None
        """The request that is being read."""
        self.stopped = False
        """True if all further bytes are discarded."""

    def feed(self, data: bytes | memoryview) -> bytes | memoryview:
        """Take the next bytes of the connection, and answer errors in them.

        If a body comes in very many pieces, returns the rest, to be fed in another turn of the loop.
        """
        self.completed = self._pieces = 0
        self.passed = False
        rest = _NO_REST
        if len(data) > HEAD_BYTES:
            data, rest = self._part(data)
        while True:
            completed = self.completed
            self._overhead += len(data)
            try:
                self._parser.feed_data(data)
                if self._again:
                    self._read_again(b"".join(self._unread))
            except httptools.HttpParserUpgrade as offer:
                self._read_again(memoryview(data)[int(offer.args[0]) :])
            except httptools.HttpParserError as reason:
                self._refuse(reason)
            if self.current is None or self.completed > completed:
                self._overhead, self._uncounted = 0, len(data)
            elif self._overhead > HEAD_BYTES + _START_LINE or len(self.current.headers) > MOST_HEADERS:
                self.reject(_head_too_large())
            if not rest or self.stopped or self._pieces >= MOST_PIECES:
                return b"" if self.stopped else rest
            data, rest = self._part(rest)

    def _part(self, data: bytes | memoryview) -> tuple[memoryview, memoryview]:
        """Split off the part to read now, so that a head is judged and chunks are counted before much more is read.

        A body that came with its head stays in one piece, which needs no copy.
        """
        view, size, request = memoryview(data), HEAD_BYTES, self.current
        if request is None:
            size = bytes(view[:_USUAL_HEAD]).find(b"\r\n\r\n") + 4
            size = size if size > 3 else HEAD_BYTES
        elif request.head_done:
            size = max(size, (request.content_length or 0) - request.received)
        return view[:size], view[size:]

    def reject(self, answer: Answer) -> None:
        """Refuse the request that is being read, answer it in its turn, and read no further."""
        if not self.stopped:
            request = self.current or self._consumer.request()
            request.refusal = answer
            self._cut(request)

    def stop(self) -> None:
        """Discard further bytes, and those of an unfinished request."""
        self.stopped = True
        self.current = None
        self.body.drop()

    def close(self) -> None:
        """Release everything: the connection is gone."""
        self.stop()
        del self._parser  # it refers back to the reader

    # --- the parser

    def on_message_begin(self) -> None:
        """Start a request."""
        if self.stopped:
            raise _StoppedError
        self.current = self._consumer.request()
        self._odd_coding = self._odd_trailer = False

    def on_url(self, url: bytes) -> None:
        """Append a piece of the target."""
        if self.current is not None:
            self.current.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; trailers are dropped."""
        request = self.current
        if request is not None and not request.head_done:
            # Blanks around a value are not part of it (RFC 9110 5.5); the parser removes only those before it.
            name, bare = name.lower(), value.rstrip(b" \t")
            if bare is not value:
                self._odd_coding |= name == b"transfer-encoding" and b"\t" in value and bare.lower() == b"chunked"
            request.headers.append((name, bare))
        elif name.lower() == b"content-length":
            self._odd_trailer = True

    def on_headers_complete(self) -> None:
        """Decide whether the body is worth reading."""
        request = self.current
        if request is None or self.stopped:
            return
        request.method = self._parser.get_method().decode()
        if self._parser.should_upgrade() or (self._odd_coding and _is_coded(request)):
            if request.method == "CONNECT":
                self.reject(error(400, "bad_request", "CONNECT is not supported: this is not a proxy"))
            else:
                self._again = self._plain_head(request)
            return
        request.head_done = True
        request.keep_alive = self._parser.should_keep_alive()
        large = self._overhead + self._uncounted > HEAD_BYTES and request.head_size() > HEAD_BYTES
        if large or len(request.headers) > MOST_HEADERS:
            request.refusal = _head_too_large()
        else:
            request.refusal = read_head(request, self._parser.get_http_version())
        self._overhead = self._uncounted = 0
        if request.refusal is not None:
            self._cut(request)
            return
        length = request.content_length or 0
        request.refusal = self._consumer.admit(request)
        if request.refusal is None and length > self._limits.body_bytes:
            request.refusal = self._too_large()
        if request.refusal is not None and (request.expects_continue or length > HEAD_BYTES):
            self._cut(request)  # not worth the upload
        else:
            self.passed = True

    def on_body(self, piece: bytes) -> None:
        """Store a piece of the body."""
        request = self.current
        if request is None or self.stopped:
            return
        if self._again:
            self._unread.append(piece)
            return
        self._overhead = 0
        self._pieces += 1
        request.received += len(piece)
        if request.received > self._limits.body_bytes:
            request.refusal = request.refusal or self._too_large()
            self._cut(request)
        elif request.refusal is None and not self.body.add(piece, request.received):
            request.refusal = overloaded()
            self._cut(request)

    def on_message_complete(self) -> None:
        """Hand on a complete request."""
        request = self.current
        if request is None or self.stopped or self._again:
            return
        self.current = None
        self.completed += 1
        request.body = self.body.take()
        if self._odd_trailer and not self._parser.should_keep_alive():
            request.last = True
        self._consumer.request_read(request)
        if request.last or not request.keep_alive:
            self.stop()

    # --- inside

    def _new_parser(self) -> httptools.HttpRequestParser:
        """Return a parser that leaves decisions about framing to us, because its own rules apply to trailers too.

        A head with two Transfer-Encodings, one that is not `chunked`, or one beside a Content-Length is refused by
        `read_head`, and what follows `Connection: close` by `on_message_complete`.
        """
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(
            lenient_keep_alive=True, lenient_transfer_encoding=True, lenient_chunked_length=True
        )
        return parser

    def _read_again(self, rest: bytes | memoryview) -> None:
        """Parse `_again` in place of the head that has been read, and then `rest`."""
        while self._again and not self.stopped:
            head, self._again, self._unread = self._again, b"", []
            self._parser = self._new_parser()
            try:
                self._parser.feed_data(head)
                self._parser.feed_data(rest)
                rest = b"".join(self._unread)
            except httptools.HttpParserUpgrade as offer:
                rest = memoryview(rest)[int(offer.args[0]) :]
            except httptools.HttpParserError as reason:
                self._refuse(reason)

    def _plain_head(self, request: Request) -> bytes:
        """Return the head without an offer to upgrade, and without blanks that confuse the parser.

        RFC 9110 7.8 lets a server ignore the offer, which Java's client makes with each request. The parser would take
        such a request to have no body.
        """
        version = self._parser.get_http_version().encode()
        headers = [header for header in request.headers if header[0] != b"upgrade"]
        return b"%b %b HTTP/%b\r\n%b\r\n" % (request.method.encode(), request.target, version, render(headers))

    def _refuse(self, reason: httptools.HttpParserError) -> None:
        if self.stopped:
            return
        cause = reason.__context__
        if isinstance(reason, httptools.HttpParserCallbackError) and cause is not None:
            message = "cannot read a request"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": cause})
            self.reject(error(500, "internal", f"{message}; the log has the reason"))
        else:
            self.reject(error(400, "bad_request", f"not HTTP/1.1: {reason}"))

    def _cut(self, request: Request) -> None:
        """Read no further; `request` is the last one."""
        request.last = True
        self.stop()
        self._consumer.request_read(request)

    def _too_large(self) -> Answer:
        return error(
            413, "request_too_large", f"the body is larger than {self._limits.body_bytes} bytes. Fix: send less"
        )


def _is_coded(request: Request) -> bool:
    return sum(name == b"transfer-encoding" for name, _ in request.headers) == 1


def _head_too_large() -> Answer:
    message = f"the head of the request has more than {HEAD_BYTES} bytes or {MOST_HEADERS} headers, or its chunks do"
    return error(431, "headers_too_large", f"{message}. Fix: send fewer or shorter headers")
