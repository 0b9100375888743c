"""Reads the requests of one connection, and holds them to their limits while they arrive."""

import re
from typing import Protocol

import httptools

from ...config.gateway import Limits
from .answer import RETRY_SOON, Answer, error
from .registry import Registry
from .request import Request, read_head

HEAD_BYTES = 32 * 1024
_UPGRADE = re.compile(rb"^upgrade[ \t]*:", re.IGNORECASE | re.MULTILINE)


class Consumer(Protocol):
    """Who gets the requests."""

    def admit(self, request: Request) -> Answer | None:
        """Look at a complete head: None to have the body read, an answer to refuse."""

    def head_read(self, request: Request) -> None:
        """A head has passed; its body comes next."""

    def request_read(self, request: Request) -> None:
        """A request is whole, or refused: it is to be answered in its turn."""


class RequestReader:
    """Bytes in, requests out."""

    def __init__(self, consumer: Consumer, limits: Limits, registry: Registry) -> None:
        self._consumer = consumer
        self._limits = limits
        self._registry = registry
        self._parser = httptools.HttpRequestParser(self)
        self._pieces: list[bytes] = []
        self._overhead = 0
        """Read since the last request was whole or the last byte of its body came, or more: an upper bound that costs
        one addition a read. Heads, but chunk extensions and trailers as well."""
        self._upgrade = False
        self._completed = 0
        self.current: Request | None = None
        """What is being read."""
        self.deaf = False
        """What arrives is thrown away."""

    def feed(self, data: bytes) -> None:
        """The next bytes of the connection."""
        self._completed = 0
        self._overhead += len(data)
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade:
                self._upgrade = False
                self._parser = httptools.HttpRequestParser(self)
                self._parser.feed_data(self._without_upgrade(data))
        except httptools.HttpParserError as reason:
            self.reject(error(400, "bad_request", f"not HTTP/1.1: {reason}"))
        if self.current is None or self._completed:
            self._overhead = 0  # what a read brought of a pipelined head goes uncounted
        elif self._overhead > HEAD_BYTES:
            self.reject(_head_too_large())

    def reject(self, answer: Answer) -> None:
        """What is being read is wrong: answer it in its turn, and read no further."""
        if not self.deaf:
            request = self.current or Request()
            request.refusal = answer
            self._cut(request)

    def stop(self) -> None:
        """Throw away what arrives, and what has arrived of an unfinished request."""
        self.deaf = True
        self.current = None
        self._drop()

    def close(self) -> None:
        """The connection is gone."""
        self.stop()
        del self._parser  # it refers back to the reader

    # --- the parser

    def on_message_begin(self) -> None:
        """Start a request."""
        self.current = Request()
        self._pieces = []

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        if self.current is not None:
            self.current.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; trailers are dropped."""
        request = self.current
        if request is not None and not request.head_done:
            request.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Decide whether the body is worth reading."""
        request = self.current
        if request is None or self.deaf:
            return
        request.head_done = True
        request.method = self._parser.get_method().decode()
        request.keep_alive = self._parser.should_keep_alive()
        if self._parser.should_upgrade():
            self._upgrade = True
            return
        if self._overhead > HEAD_BYTES and request.head_size() > HEAD_BYTES:
            request.refusal = _head_too_large()
        else:
            request.refusal = read_head(request, self._parser.get_http_version())
        self._overhead = 0
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
            self._consumer.head_read(request)

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        request = self.current
        if request is None or self.deaf:
            return
        self._overhead = 0
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
        request = self.current
        if request is None or self.deaf or self._upgrade:
            return
        self.current = None
        self._completed += 1
        request.body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        self._consumer.request_read(request)

    # --- inside

    def _cut(self, request: Request) -> None:
        """Read no further; `request` is the last one."""
        request.last = True
        self.stop()
        self._consumer.request_read(request)

    def _drop(self) -> None:
        self._registry.held -= sum(map(len, self._pieces))
        self._pieces = []

    def _too_large(self) -> Answer:
        return error(413, "request_too_large", f"the body is larger than {self._limits.body_bytes} bytes")

    def _without_upgrade(self, data: bytes) -> bytes:
        """The same request offering no upgrade, to be read again: RFC 9110 7.8 lets us ignore the offer.

        Java's client offers h2c with each request, and llhttp takes a request with an upgrade to have no body.
        """
        head, separator, rest = data.partition(b"\r\n\r\n")
        request = self.current
        whole = not self._completed and b" HTTP/1." in head.split(b"\r\n", 1)[0]
        if request is None or request.method == "CONNECT" or not whole:
            msg = "protocol upgrades are not offered here"
            raise httptools.HttpParserError(msg)
        return _UPGRADE.sub(b"x-not-upgraded:", head) + separator + rest


def _head_too_large() -> Answer:
    return error(
        431, "headers_too_large", f"the request's head, or what goes with its chunks, is larger than {HEAD_BYTES} bytes"
    )
