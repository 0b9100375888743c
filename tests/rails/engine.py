"""An engine on loopback for one gateway: it records requests, and its answers depend only on them."""

import asyncio
import contextlib
import re
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import cast

import httptools

_PAUSE = 0.002
"""Seconds between two pieces of an answer."""
_JSON = b"content-type: application/json\r\n"
_SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_LINES = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":%b}]}\n\n'
_END = b"0\r\n\r\n"


def _whole(status: bytes, body: bytes, headers: bytes = _JSON) -> list[bytes]:
    return [b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, headers, len(body), body)]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_ODD = (
    b"Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nServer: e\r\nSet-Cookie: a=b\r\n"
    b"Trailer: c\r\nX-Larder-Model: z\r\nAccess-Control-Allow-Origin: *\r\nX-Request-Id: theirs\r\n"
    b"Proxy-Authenticate: b\r\nX-Kept: 1\r\n"
)
REPLIES: Sequence[list[bytes]] = (
    _whole(b"200 OK", b'{"object":"chat.completion","choices":[{"message":{"content":"a"}}]}'),
    _whole(b"200 OK", b"y" * 20_000),
    _whole(b"200 OK", b'{"ok":true}', _ODD),
    _whole(b"400 Bad Request", b'{"error":{"message":"no","type":"invalid_request_error"}}'),
    _whole(b"404 Not Found", b'{"error":"model \'tiny\' not found"}'),
    _whole(b"500 Internal Server Error", b"broken", b"content-type: text/plain\r\n"),
    _whole(b"503 Service Unavailable", b'{"error":"busy"}', b"retry-after: 7\r\n"),
    [b"HTTP/1.1 204 No Content\r\n\r\n"],
    [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"],
    [_SSE + _chunk(_EVENT % b"null"), _chunk(_EVENT % b'"stop"' + b"data: [DONE]\n\n") + _END],
    [
        _SSE + _chunk(b'event: message_start\ndata: {"type":"message_start"}\n\n'),
        _chunk(b'event: message_stop\ndata: {"type":"message_stop"}\n\n') + _END,
    ],
    [_SSE + _chunk(b'event: response.completed\ndata: {"type":"response.completed","response":{}}\n\n') + _END],
    [_SSE + _chunk(_EVENT % b"null") + _END],
    [_SSE + _chunk(b'data: {"error":{"message":"x"}}\n\n'), _END],
    [_LINES + _chunk(b'{"message":{"content":"a"},"done":false}\n'), _chunk(b'{"done":true}\n') + _END],
    [_LINES + _chunk(b'{"message":{"content":"a"},"done":false}\n') + _END],
    [_LINES + _chunk(b'{"error":"x"}\n') + _END],
    # From here on the connection ends with the answer.
    [b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nuntil the end", b""],
    [_SSE + _chunk(_EVENT % b"null"), b""],
    [b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", b""],
    [b"SMTP ready\r\n\r\n", b""],
    [b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nx", b""],
    [b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", b""],
)
"""Answers of every kind, in pieces; an empty piece closes the connection."""
_HOLDS = _whole(b"200 OK", b'{"models":[{"name":"tiny:q4","size":1},{"name":"Phi3","size":1}],"done":true}')
"""Answers of an engine with both models loaded, for which every request succeeds."""
_ID = re.compile(rb"req-[0-9a-f]{12}-[0-9]+")
_OWN = re.compile(rb"\r\nhost: 127\.0\.0\.1:[0-9]+")


def plain(request: bytes) -> bytes:
    """Return a request without the ids that a gateway makes and without our port."""
    return _OWN.sub(b"\r\nhost: *", _ID.sub(b"req-*", request), count=1)


class Engine:
    """The requests of one gateway, and the port that receives them."""

    def __init__(self) -> None:
        self.asked: Counter[bytes] = Counter()
        self.port = 0

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen on a free port of loopback until the block is left."""
        server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    def taken(self) -> Counter[bytes]:
        """Return what was asked since the last time."""
        found, self.asked = self.asked, Counter()
        return found


class _Connection(asyncio.Protocol):
    """One connection of the gateway, which sends each request after the answer to the last."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._raw = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._raw += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as reason:  # the gateway has sent what is no request: the other one has not
            self._engine.asked[b"(%b) %b" % (str(reason).encode(), plain(self._raw))] += 1
            self._transport.abort()

    def on_message_complete(self) -> None:
        request, self._raw = plain(self._raw), b""
        if b"\r\nx-request-id: " not in request:  # a question of the gateway's own: when it asks is a matter of time
            self._answer(_HOLDS, 0)
            return
        self._engine.asked[request] += 1
        head, _, body = request.partition(b"\r\n\r\n")
        # Not by the headers: one that differs shows in what was asked, and not in another answer too.
        self._answer(REPLIES[zlib.crc32(head.split(b"\r\n")[0] + body) % len(REPLIES)], 0)

    def _answer(self, pieces: list[bytes], at: int) -> None:
        if self._transport.is_closing():
            return
        if pieces[at]:
            self._transport.write(pieces[at])
        else:
            self._transport.close()
        if at + 1 < len(pieces):
            asyncio.get_running_loop().call_later(_PAUSE, self._answer, pieces, at + 1)
