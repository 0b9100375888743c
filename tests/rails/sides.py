"""One gateway as a process, before an engine of its own, with clients that keep every byte."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import httptools

from bench.processes import free_port, listens
from tests.rails.clients import Writes
from tests.rails.engine import Engine
from tests.rails.trees import RailError, Tree

CROWD = 1000
"""Connections open at a time."""
_WITHIN = 30.0
"""Seconds until a gateway listens, or ends a connection."""
_MODELS = [
    {"id": "tiny", "engine-name": "tiny:q4", "aliases": ["gpt-4o"]},
    {"id": "phi-3-mini", "engine-name": "Phi3", "aliases": []},
]
_RULES = [{"pattern": "(?i)write", "model": "phi-3-mini"}, {"min-characters": 3, "max-characters": 9, "model": "tiny"}]
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "ollama": {"routing": {"default": "tiny", "rules": _RULES}, "cors": {"origins": ["https://a.example"]}},
    "ollama resident": {"residency": {"pin": ["tiny", "phi-3-mini"]}},
    "llama-server": {},
    "vllm": {"routing": {"default": "phi-3-mini"}},
    "shimmy": {},
    "gateway": {"place": "front", "routing": {"rules": _RULES}},
}
"""gateway.json by the kind of the engine, and a word for the variant; added to the common part."""
LIMITS = {"header-seconds": 4, "body-seconds": 4, "idle-seconds": 4, "connections": 4 * CROWD, "body-bytes": 3000}
"""Timeouts: short, so that incomplete input ends soon, but longer than delays of a busy machine."""


@dataclass(frozen=True)
class Side:
    """One gateway and its engine."""

    port: int
    admin: int
    engine: Engine

    async def answers(self, connections: Sequence[Writes]) -> list[bytes]:
        """Return all bytes that come back on each connection, in order."""
        found = [b""] * len(connections)
        work = iter(enumerate(connections))

        async def client() -> None:
            for number, writes in work:
                found[number] = plain(await _ask(self.port, writes))

        await asyncio.gather(*(client() for _ in range(min(CROWD, len(connections)))))
        return found


_VOLATILE = (
    (re.compile(rb"\r\ndate: [^\r]*"), b"\r\ndate: *"),
    (re.compile(rb'("created_at": ?")[^"]*'), rb"\1*"),
    (re.compile(rb"req-[0-9a-f]{12}-[0-9]+"), b"req-*"),
    (re.compile(rb"\r\nx-larder-cache: (?:hit|miss)\r\nx-larder-queue-ms: [0-9]+"), b"\r\nx-larder-cache: *"),
)
"""Patterns of times, of ids, and of a model that was loaded already."""
TEXTS = (
    (re.compile(rb'("(?:message|error)": ?)"(?:[^"\\]|\\.)*"'), rb'\1"*"'),
    (re.compile(rb"\r\ncontent-length: [0-9]+"), b"\r\ncontent-length: *"),
)
"""The words of errors, and the lengths that follow from them: left out of the comparison if TEXTS is set."""
_CHUNKED = re.compile(rb"(?<=\r\n)transfer-encoding: chunked\r\n(?:[^\r]+\r\n)*\r\n")


def plain(answer: bytes) -> bytes:
    """Return what came back without ids and times, and chunked bodies as one chunk: reads decide where they are cut."""
    answer = _in_one_chunk(answer)
    for volatile, word in (*_VOLATILE, *(TEXTS if os.environ.get("TEXTS") else ())):
        answer = volatile.sub(word, answer)
    return answer


def _in_one_chunk(answer: bytes) -> bytes:
    out, at = [], 0
    while head := _CHUNKED.search(answer, at):
        end, body = _dechunked(answer, head.end())
        if end < 0:  # a response to HEAD, or one that broke off
            out.append(answer[at : head.end()])
            at = head.end()
        else:
            out += [answer[at : head.end()], b"(chunks)", body]
            at = end
    return b"".join((*out, answer[at:]))


def _dechunked(text: bytes, at: int) -> tuple[int, bytes]:
    """Return the end of the chunks that begin there, or -1 if they do not end, and their content."""
    body = []
    while size := re.compile(rb"([0-9a-f]+)\r\n").match(text, at):
        begins, length = size.end(), int(size[1], 16)
        if text[begins + length : begins + length + 2] != b"\r\n":
            return -1, b""
        body.append(text[begins : begins + length])
        at = begins + length + 2
        if not length:
            return at, b"".join(body)
    return -1, b""


class _Client(asyncio.Protocol):
    """A client that sends each write after the answer to the last, and records all bytes until the end."""

    def __init__(self, writes: Writes) -> None:
        self._writes = iter(writes)
        self._parser = httptools.HttpResponseParser(self) if len(writes) > 1 else None
        self.came: list[bytes] = []
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(next(self._writes))

    def data_received(self, data: bytes) -> None:
        self.came.append(data)
        if self._parser is not None:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError:  # an answer to HEAD, most likely: no more is sent
                self._parser = None

    def on_message_complete(self) -> None:
        assert self._parser is not None  # it calls this
        if self._parser.get_status_code() >= HTTPStatus.OK and (more := next(self._writes, None)) is not None:
            self._transport.write(more)

    def connection_lost(self, exc: Exception | None) -> None:
        self._parser = None  # it refers back to this
        if not self.ended.done():
            self.ended.set_result(None)


async def _ask(port: int, writes: Writes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_connection(lambda: _Client(writes), "127.0.0.1", port)
    late = loop.call_later(_WITHIN, transport.abort)
    await client.ended
    late.cancel()
    return b"".join(client.came)


@contextlib.asynccontextmanager
async def running(tree: Tree, config: str, folder: Path) -> AsyncIterator[Side]:
    """Run the gateway of a checkout with the configuration of that name. Raises RailError."""
    engine = Engine()
    async with engine.listening():
        port, admin = free_port(), free_port()
        document = {
            "listen": f"127.0.0.1:{port}",
            "admin": f"127.0.0.1:{admin}",
            "engines": [{"kind": config.split()[0], "url": f"http://127.0.0.1:{engine.port}"}],
            "models": _MODELS,
            "limits": LIMITS,
            **CONFIGS[config],
        }
        with _process(tree, document, port, folder):
            yield Side(port, admin, engine)


@contextlib.contextmanager
def _process(tree: Tree, config: Mapping[str, Any], port: int, folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    file, log = folder / "gateway.json", folder / "log"
    file.write_text(json.dumps(config))
    command = [str(tree.python), "-m", "larder_sidecar", "gateway", "--log-level", "error", "--config", str(file)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=tree.root, env=tree.environment(), stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + _WITHIN
        while not listens(port) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        yield
        if process.poll() is not None:
            msg = f"the gateway of {tree.root} has ended: {log.read_text()[-1000:]}"
            raise RailError(msg)
    finally:
        process.kill()
        process.wait()


async def metric_names(side: Side) -> dict[str, list[str]]:
    """Return the names on the page for Prometheus: each with its type and labels."""
    page = await _ask(side.admin, (b"GET /metrics HTTP/1.0\r\n\r\n",))
    lines = page.partition(b"\r\n\r\n")[2].decode().splitlines()
    names = {line.split()[2]: [line.split()[3]] for line in lines if line.startswith("# TYPE ")}
    for name, labels in (re.match(r"(\w+)(?:\{(.*)\})?", line).groups() for line in lines if line[:1] not in "#"):  # type: ignore[union-attr]
        known = names.setdefault(name, [])
        known += [label for label in re.findall(r'(\w+)="', labels or "") if label not in known]
    return {name: [*known[:1], *sorted(known[1:])] for name, known in names.items()}
