"""Framing: a message is read the same however the network cuts it."""

import asyncio
import atexit
import functools
import itertools
import socket
from collections.abc import Callable, Iterable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.config.gateway import Limits
from larder_sidecar.http.answer import Answer
from larder_sidecar.http.application import Outcome
from larder_sidecar.http.pool import Pool
from larder_sidecar.http.registry import Registry
from larder_sidecar.http.request import Request
from larder_sidecar.http.server import ServerConnection
from larder_sidecar.http.upstream import ResponseHead, UpstreamConnection

from tests.sidecar.gateway.scripted import PROPERTY

QUIET, _PEER = socket.socketpair()
"""A socket on which nothing arrives."""


class Wire(asyncio.Transport):
    """A transport that records what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.ended = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return QUIET if name == "socket" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.written += b"".join(list_of_data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.ended

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.ended = True

    abort = close


class Echo:
    """An application that answers with the request it read."""

    request = Request

    def closing(self) -> bool:
        return False

    def admit(self, request: Request) -> Answer | None:
        return Answer(404, b"") if request.path == "/missing" else None

    def respond(self, request: Request, client: ServerConnection) -> Outcome:
        headers = b";".join(k + b"=" + v for k, v in request.headers)
        del client
        return Answer(200, b"|".join([request.method.encode(), request.target, headers, request.body]))

    def finished(self, request: Request) -> None: ...

    def identify(self, request: Request) -> bytes:
        return b""


class Kept:
    """An owner that records the response."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.body = b""
        self.ends: list[str] = []

    def response_data(self, head: ResponseHead | None, pieces: list[bytes], *, done: bool) -> None:
        self.head = head or self.head
        self.body += b"".join(pieces)
        if done:
            self.ends.append("done")

    def response_lost(self, reason: str) -> None:
        self.ends.append("lost")


REQUESTS = {
    "length": b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;e=1\r\nde\r\n0\r\nT: 1\r\n\r\n",
    "pipelined": b"GET /a HTTP/1.1\r\nHost: x\r\nE:\r\n\r\n"
    b"POST /missing HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
    b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n",
    "twice": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "broken": b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b\r\nHost: y z\r\n\r\n",
    "last": b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
    "blanks": b"POST /a HTTP/1.1\r\nHost:\tx \t \r\nA: b c\t\r\nB:  \r\nTransfer-Encoding: chunked \r\n\r\n"
    b"1\r\na\r\n0\r\n\r\n"
    b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\t\r\n\r\n2\r\nbc\r\n0\r\n\r\n"
    b"POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 1\t \r\nConnection: keep-alive\t\r\n\r\nd"
    b"GET /d HTTP/1.1\r\nHost: x\r\n\r\n",
}
INNER = b"2\r\nhi\r\n0\r\n\r\nGET /inner HTTP/1.1\r\nHost: x\r\n\r\n"
"""A body that would be the end of one request and another request, if it is read as chunks."""
REQUESTS["tab elsewhere"] = (
    b"POST /a HTTP/1.1\r\nHost: x\r\nNote: chunked\t\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"%x\r\n%b\r\n0\r\n\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n" % (len(INNER), INNER)
)
LONG = b"x" * 40_000
"""More than is read at a time unless it is known to be the rest of a body."""
LENGTH = b"Host: x\r\nContent-Length: %d\r\n" % len(LONG)
REQUESTS["long"] = b"".join(
    (
        b"POST /a HTTP/1.1\r\n%b\r\n%b" % (LENGTH, LONG),
        b"POST /b HTTP/1.1\r\nN: %b\r\n%b\r\n%b" % (LONG[:6000], LENGTH, LONG),
        b"POST /c HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n%b\r\n%b" % (LENGTH, LONG),
        b"POST /d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(LONG), LONG),
        b"GET /e HTTP/1.1\r\nHost: x\r\n\r\n" * 3,
    )
)
RESPONSES = {
    "length": b"HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nB:\r\n\r\n",
    "until close": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
    "two": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nho",
    "nonsense": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello",
}


def cut(message: bytes, at: set[int]) -> list[bytes]:
    edges = [0, *sorted(at), len(message)]
    return [message[a:b] for a, b in itertools.pairwise(edges) if a != b]


async def all_answered(connection: ServerConnection) -> None:
    """Give waiting requests their turns."""
    while connection.waits:  # noqa: ASYNC110
        await asyncio.sleep(0)


@functools.cache
def one_loop() -> asyncio.Runner:
    """Return one loop for thousands of connections: opening a loop takes longer than most of them."""
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner


def served(pieces: list[bytes], *, pauses: bool = False) -> bytes:
    """Return the answers; with `pauses`, all waiting requests are answered before the next piece."""

    async def run() -> bytes:
        connection, wire = ServerConnection(Echo(), Limits(), Registry(1)), Wire()
        connection.connection_made(wire)
        for piece in pieces:
            if not wire.ended:
                connection.data_received(piece)
            if pauses:
                await all_answered(connection)
        await all_answered(connection)
        connection.connection_lost(None)
        lines = [line for line in wire.written.split(b"\r\n") if not line.startswith(b"date: ")]
        return b"\r\n".join(lines) + (b"END" if wire.ended else b"")

    return one_loop().run(run())


def test_the_content_of_a_body_never_changes_its_framing() -> None:
    answers = served([REQUESTS["tab elsewhere"]])
    assert answers.count(b"HTTP/1.1 200 ") == 2
    assert INNER in answers


def test_long_requests_that_come_together_are_all_answered() -> None:
    answers = served([REQUESTS["long"]])
    assert (answers.count(b"HTTP/1.1 200 "), answers.count(LONG)) == (7, 4)


def received(pieces: list[bytes]) -> tuple[int, list[tuple[bytes, bytes]], bytes, list[str]]:
    async def run() -> tuple[int, list[tuple[bytes, bytes]], bytes, list[str]]:
        connection, wire, owner = UpstreamConnection(Pool("http://x", 1)), Wire(), Kept()
        connection.connection_made(wire)
        connection.send(owner, [b"GET"])
        for piece in pieces:
            if not wire.ended:
                connection.data_received(piece)
        connection.connection_lost(None)
        head = owner.head or ResponseHead(0, [], None)
        return head.status, list(head.headers), owner.body, owner.ends

    return one_loop().run(run())


@functools.cache
def whole(side: Callable[[list[bytes]], object], message: bytes) -> object:
    """Return the reading of the message in one piece."""
    return side([message])


@pytest.mark.parametrize("message", REQUESTS.values(), ids=REQUESTS)
@PROPERTY
@given(data=st.data())
def test_requests_do_not_depend_on_how_they_are_cut(message: bytes, data: st.DataObject) -> None:
    at = data.draw(st.sets(st.integers(1, len(message) - 1)))
    assert served(cut(message, at)) == whole(served, message)


@pytest.mark.parametrize("message", RESPONSES.values(), ids=RESPONSES)
@PROPERTY
@given(data=st.data())
def test_responses_do_not_depend_on_how_they_are_cut(message: bytes, data: st.DataObject) -> None:
    at = data.draw(st.sets(st.integers(1, len(message) - 1)))
    assert received(cut(message, at)) == whole(received, message)


@pytest.mark.parametrize("side", [served, received])
@PROPERTY
@given(raw=st.binary(max_size=200))
def test_noise_is_answered_or_dropped_without_another_error(side: object, raw: bytes) -> None:
    cast("type", side)([b"HTTP/1.1 " + raw, raw])
