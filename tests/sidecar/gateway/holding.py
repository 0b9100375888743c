"""An Ollama that holds models as the real one does, as far as loading goes; tests/engines/ has the real one."""

import asyncio
import json
from dataclasses import dataclass, field

from tests.sidecar.gateway.scripted import Engine, Turn


@dataclass
class Holding:
    """A script for `Engine`. While `free` is clear, loads wait."""

    held: set[str] = field(default_factory=set)
    loads: list[str] = field(default_factory=list)
    keeps: list[float] = field(default_factory=list)
    """The engine's own keep-alive of each load."""
    retold: list[tuple[str, float]] = field(default_factory=list)
    """Keep-alives of repeated loads."""
    unloads: list[str] = field(default_factory=list)
    keeps_all: bool = False
    """True if unloads are refused."""
    listing: list[bytes] = field(default_factory=list)
    """Next answers of /api/ps, instead of the held models; b'' for none."""
    most: int = 0
    """The largest number of models held at one time."""
    refusal: bytes = b""
    free: asyncio.Event = field(default_factory=asyncio.Event)
    finish: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is clear, answers begin and do not end."""
    told: list[dict[str, object]] = field(default_factory=list)
    """Bodies of all requests but loads and unloads."""

    def __post_init__(self) -> None:
        self.free.set()
        self.finish.set()

    async def __call__(self, turn: Turn) -> None:
        path = turn.request.line.split()[1]
        if path == "/api/ps" and self.listing:
            if answer := self.listing.pop(0):
                await turn.reply(answer)
            else:
                turn.reset()
            return
        if path == "/api/ps":
            await turn.reply(json.dumps({"models": [{"name": name, "size": 7} for name in sorted(self.held)]}).encode())
            return
        body = json.loads(turn.request.body or b"{}")
        if path == "/api/generate" and "prompt" not in body:
            await self._move(turn, body["model"], body["keep_alive"])
            return
        if turn.request.line.startswith("GET"):
            await turn.reply(b"Ollama is running")
            return
        self.told.append(body)
        assert body["model"] in self.held, f"{body['model']} is not loaded"
        await turn.stream_head()
        await turn.chunk(b'data: {"choices":[]}\n\n')
        await self.finish.wait()
        await turn.chunk(b"data: [DONE]\n\n")
        await turn.end()

    async def _move(self, turn: Turn, name: str, keep_alive: float) -> None:
        if keep_alive == 0:
            self.unloads.append(name)
            if self.keeps_all:
                await turn.reply(b'{"error":"it stays"}', "500 Internal Server Error")
                return
            self.held.discard(name)
        else:
            if name in self.held:
                self.retold.append((name, keep_alive))
                await turn.reply(b'{"done":true}')
                return
            self.loads.append(name)
            self.keeps.append(keep_alive)
            await self.free.wait()
            if self.refusal:
                await turn.reply(json.dumps({"error": self.refusal.decode()}).encode(), "500 Internal Server Error")
                return
            self.held.add(name)
            self.most = max(self.most, len(self.held))
        await turn.reply(b'{"done":true}')


def holding(engine: Engine) -> Holding:
    """Make the engine hold models."""
    script = Holding()
    engine.script = script
    return script
