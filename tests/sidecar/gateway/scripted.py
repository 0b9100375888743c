"""A scripted engine that records its requests, and a client that shows every byte it gets."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from larder_sidecar.config.gateway import DRAIN
from larder_sidecar.gateway.serve import Running

TURN_SECONDS = 0.1
"""Limit for the thread CPU of one turn of the loop, five times the goal of `make bench` (gateway.worst_turn_ms).

A unit test finds work that grows with its input, on a machine that runs other tests beside it.
"""
PROPERTY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Settings of property tests: few examples, and no deadline, which a busy machine would miss."""
HOOK = f"{DRAIN[0]}: {DRAIN[1]}\r\n"
"""Header of the preStop hook's request."""
WAIT = 5.0
"""Limit for any single step of a test, in seconds."""


@dataclass
class Received:
    """One request as the engine saw it."""

    head: bytes
    body: bytes
    connection: int

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}


@dataclass
class Turn:
    """One request with its answer in progress."""

    request: Received
    _writer: asyncio.StreamWriter
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """The gateway has closed its side."""

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def stream_head(self, content_type: str = "text/event-stream") -> None:
        await self.send(
            f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def reply(self, body: bytes, status: str = "200 OK", headers: str = "") -> None:
        await self.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode(), body)

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        self._writer.transport.abort()


Script = Callable[[Turn], Awaitable[None]]


async def answer_ok(turn: Turn) -> None:
    await turn.reply(b'{"ok":true}', headers="Content-Type: application/json\r\n")


class Engine:
    """A server on loopback; `script` decides what it does with each request."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.script: Script = answer_ok
        self._host = host
        self.requests: list[Received] = []
        self.connections = 0
        self.port = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._writers)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        number = self.connections
        with contextlib.suppress(ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await self._answer_all(reader, writer, number)
        self._tasks.discard(task)
        self._writers.discard(writer)
        writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        begun = b""
        while True:
            head = begun + await reader.readuntil(b"\r\n\r\n")
            request = Received(head, b"", number)
            request.body = await reader.readexactly(int(request.headers.get("content-length", "0")))
            self.requests.append(request)
            turn = Turn(request, writer)
            script = asyncio.ensure_future(self.script(turn))
            more = asyncio.ensure_future(reader.read(1))
            try:
                await asyncio.wait({script, more}, return_when=asyncio.FIRST_COMPLETED)
                if more.done() and not more.result():
                    turn.gone.set()
                await script
                begun = await more
            finally:
                script.cancel()
                more.cancel()
                await asyncio.gather(script, more, return_exceptions=True)
            if not begun:
                return


@dataclass
class Response:
    """A response as the client got it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    chunks: list[bytes]

    def __getitem__(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key == name)

    def json(self) -> dict[str, object]:
        document: dict[str, object] = json.loads(self.body)
        return document

    @property
    def code(self) -> object:
        """Return the code of an error in OpenAI's shape; the other shapes have none."""
        fault = self.json()["error"]
        return fault["code"] if isinstance(fault, dict) else None


class Client:
    """One raw connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), WAIT)

    async def post(self, path: str, body: bytes, headers: str = "") -> None:
        await self.send(request(path, body, headers))

    async def head(self) -> tuple[int, list[tuple[str, str]]]:
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT)
        first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        pairs = [line.partition(": ") for line in lines]
        return int(first.split()[1]), [(name.lower(), value) for name, _, value in pairs]

    async def chunk(self) -> bytes:
        size = int((await asyncio.wait_for(self.reader.readuntil(b"\r\n"), WAIT)).strip(), 16)
        data = await asyncio.wait_for(self.reader.readexactly(size + 2), WAIT)
        assert data.endswith(b"\r\n")
        return data[:-2]

    async def response(self, *, head_only: bool = False) -> Response:
        status, headers = await self.head()
        response = Response(status, headers, b"", [])
        if head_only or status in (204, 304):
            return response
        if response["transfer-encoding"] == "chunked":
            while chunk := await self.chunk():
                response.chunks.append(chunk)
            response.body = b"".join(response.chunks)
        elif length := response["content-length"]:
            response.body = await asyncio.wait_for(self.reader.readexactly(int(length)), WAIT)
        else:
            response.body = await self.rest()
        return response

    async def rest(self) -> bytes:
        """Return all bytes until the gateway closes."""
        return await asyncio.wait_for(self.reader.read(), WAIT)

    async def closed(self) -> bool:
        """Tell if the gateway closes now, without another byte."""
        return await self.rest() == b""

    async def leave(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def request(path: str, body: bytes = b"", headers: str = "", method: str = "POST") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: larder\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@contextlib.asynccontextmanager
async def connect(port: int, limit: int = 2**16) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    client = Client(reader, writer)
    try:
        yield client
    finally:
        await client.leave()


async def ask(port: int, path: str, body: bytes = b"", headers: str = "", method: str = "POST") -> Response:
    """Send one request on a connection of its own."""
    async with connect(port) as client:
        await client.send(request(path, body, headers, method))
        return await client.response(head_only=method == "HEAD")


async def admin(gateway: Running, path: str, method: str = "GET", headers: str = "") -> tuple[int, dict[str, object]]:
    response = await ask(gateway.admin_port, path, headers=headers, method=method)
    return response.status, response.json()


async def drained(gateway: Running) -> tuple[int, dict[str, object]]:
    """Drain as the kubelet does, and wait for it."""
    return await admin(gateway, "/drain", headers=HOOK)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition that has no event of its own."""
    for _ in range(int(WAIT / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"waited {WAIT:g} s for {what}")
