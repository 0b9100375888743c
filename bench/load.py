"""Load on a server of this host: one blocking connection for latency, many for throughput and streams."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import httptools

TIMEOUT = 30.0
"""Seconds for any single answer; a bench that waits longer has found a fault, not a figure."""


def request(body: bytes, path: str = "/v1/chat/completions") -> bytes:
    """Return a chat completion request as a client sends it."""
    head = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n" % path.encode()
    return head + b"content-length: %d\r\n\r\n%b" % (len(body), body)


def chat(size: int, *, stream: bool = False, model: str = "small") -> bytes:
    """Return a body of `size` bytes or a little more."""
    words = b"some words of a longer document "
    content = (words * (size // len(words) + 1))[: max(size - 90, 1)].decode()
    message = {"role": "user", "content": content}
    return json.dumps({"model": model, "stream": stream, "messages": [message]}).encode()


def require_ok(parser: httptools.HttpResponseParser) -> None:
    """Raise RuntimeError for a refusal: its time is not a figure."""
    if (status := parser.get_status_code()) != 200:
        msg = f"answered {status}, not 200"
        raise RuntimeError(msg)


class _Answer:
    """Parser callbacks that record the times of the first body byte and of the whole message."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.first = 0.0
        self.done = False

    def on_body(self, data: bytes) -> None:
        """Record the time of the first part."""
        del data
        self.first = self.first or time.perf_counter()

    def on_message_complete(self) -> None:
        """Record that the answer is whole."""
        require_ok(self.parser)
        self.done = True


class Line:
    """A client with one persistent connection that sends one request at a time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, wire: bytes) -> tuple[float, float]:
        """Return the seconds until the first byte of the body, and until the whole answer."""
        answer = _Answer()
        started = time.perf_counter()
        self._socket.sendall(wire)
        while not answer.done:
            data = self._socket.recv(65536)
            if not data:
                msg = "the connection ended in the middle of an answer"
                raise ConnectionError(msg)
            answer.parser.feed_data(data)
        return answer.first - started, time.perf_counter() - started

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


@contextmanager
def line(port: int) -> Iterator[Line]:
    """Yield a connection, and close it after the block."""
    opened = Line(port)
    try:
        yield opened
    finally:
        opened.close()


class _Many(asyncio.Protocol):
    """A client that asks again after each answer, until it is stopped."""

    def __init__(self, wire: bytes, until: float) -> None:
        self._wire = wire
        self._until = until
        self.answers = 0
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send a request."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(self._wire)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the method below."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Send the next request."""
        require_ok(self._parser)
        self.answers += 1
        if time.perf_counter() < self._until:
            self._transport.write(self._wire)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Record the end of the connection."""
        if not self.ended.done():
            self.ended.set_result(exc)


async def crowd(port: int, wire: bytes, *, connections: int, seconds: float) -> tuple[int, float]:
    """Return the answers to `connections` clients in `seconds`, and the seconds until the last answer."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    until = started + seconds
    clients = [
        (await loop.create_connection(lambda: _Many(wire, until), "127.0.0.1", port))[1] for _ in range(connections)
    ]
    await asyncio.wait_for(asyncio.gather(*(client.ended for client in clients)), seconds + TIMEOUT)
    return sum(client.answers for client in clients), time.perf_counter() - started
