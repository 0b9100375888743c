"""The worst turn of the gateway's loop, in CPU time of its thread, over slow bodies and a fuzz corpus.

The gateway runs in this process, on the loop that it has in its image. Clients are
a thread, the engine is a process. Of each body the best of `TRIES` counts: a disturbance of the machine is
no figure.
"""

import asyncio
import contextlib
import gc
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.gateway.heap import keep_freed
from larder_sidecar.gateway.serve import running
from larder_sidecar.log import Log

from tests.fuzz.gateways import TARGETS

from . import hostile, load
from .processes import started

TRIES = 2
SIZES = (hostile.LONGEST, 200_000)
PATHS = ("/v1/chat/completions", "/api/llm/route")
FUZZED = 3
"""Blocks of inputs of the fuzz target `bodies`."""


class Nobody:
    """A log that discards all lines."""

    def write(self, data: bytes, /) -> int:
        """Discard the line."""
        return len(data)


class Timed:
    """A timer of each turn of the running loop, in CPU time, by a callback that schedules itself again."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._loop = asyncio.get_running_loop()
        self._last = time.thread_time()
        self._on = True
        self._loop.call_soon(self._tick)

    def stop(self) -> None:
        """Stop the callback, so that the loop can idle."""
        self._on = False

    def _tick(self) -> None:
        now = time.thread_time()
        self.worst, self._last = max(self.worst, now - self._last), now
        if self._on:
            self._loop.call_soon(self._tick)


def worst_ms(config: GatewayConfig, *, tell: bool = False) -> float:
    """Return the milliseconds of the worst turn over all bodies; with `tell`, print the worst turn of each."""
    return uvloop.run(_worst(config, tell=tell)) * 1000


async def _worst(config: GatewayConfig, *, tell: bool) -> float:
    keep_freed()
    worst = 0.0
    async with running(config, Log("info", Nobody())) as gateway:
        gc.collect()
        gc.freeze()  # as the gateway does when it has started
        timed = Timed()
        for name, wires in _cases():
            taken = []
            for _ in range(TRIES):
                timed.worst = 0.0
                await asyncio.to_thread(_ask, gateway.port, wires)
                taken.append(timed.worst)
            if tell:
                print(f"  {min(taken) * 1000:7.2f} ms  {name}", flush=True)
            worst = max(worst, min(taken))
        timed.stop()
    return worst


def _cases() -> Iterator[tuple[str, list[bytes]]]:
    for size in SIZES:
        for name, body in hostile.bodies(size):
            yield f"{name}, {len(body):,} bytes", [load.request(body, path) for path in PATHS]
    yield "fuzzed", [load.request(body) for block in range(FUZZED) for body in TARGETS[0].inputs("0", block)]


def _ask(port: int, wires: list[bytes]) -> None:
    """Send them one after the other on a connection, and reconnect after a close."""
    with contextlib.ExitStack() as stack:
        line: socket.socket | None = None
        for wire in wires:
            if line is None:
                line = stack.enter_context(socket.create_connection(("127.0.0.1", port), load.TIMEOUT))
            sender = threading.Thread(target=_send, args=(line, wire), daemon=True)
            sender.start()
            if not _answered(line):
                line = None
            sender.join()


def _send(line: socket.socket, wire: bytes) -> None:
    with contextlib.suppress(OSError):  # refused by its head
        line.sendall(wire)


def _answered(line: socket.socket) -> bool:
    """Read one answer; return True if the connection stays open."""
    head = b""
    while b"\r\n\r\n" not in head:
        if not (data := line.recv(65536)):
            return False
        head += data
    head, _, body = head.partition(b"\r\n\r\n")
    length = next(
        (int(each.split(b":")[1]) for each in head.lower().split(b"\r\n") if each.startswith(b"content-length:")), 0
    )
    while len(body) < length:
        if not (data := line.recv(65536)):
            return False
        body += data
    return b"connection: close" not in head.lower()


def main() -> int:
    """Print the worst turn of each body."""
    from .gateway import config_of

    with tempfile.TemporaryDirectory() as folder, started(None, "bench.upstream") as (_, port):
        config = GatewayConfig.from_json(config_of(Path(folder), int(port)).read_bytes())
        print(f"gateway.worst_turn_ms {worst_ms(config, tell=True):.3g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
