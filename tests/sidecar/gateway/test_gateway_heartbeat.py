"""Heartbeats for a client that waits for a stream."""

import asyncio
import json

import pytest

from tests.sidecar.gateway.conftest import CHAT
from tests.sidecar.gateway.holding import Holding
from tests.sidecar.gateway.resident import With, asked, chat
from tests.sidecar.gateway.scripted import Engine, Turn, ask, connect

BEATING = {"heartbeat-seconds": 0.05}


async def test_a_client_that_waits_for_a_stream_gets_heartbeats(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident(**BEATING) as running, connect(running.port) as client:
        await client.post(CHAT, chat("a", stream=True))
        status, headers = await client.head()
        assert (status, dict(headers)["content-type"]) == (200, "text/event-stream")
        assert dict(headers)["x-larder-cache"] == "miss"
        assert dict(headers)["x-request-id"]
        assert [await client.chunk() for _ in range(2)] == [b": loading\n"] * 2
        ollama.free.set()
        chunks = []
        while chunk := await client.chunk():
            chunks.append(chunk)
        told = b"".join(chunk for chunk in chunks if b"loading" not in chunk)
        assert told == b'data: {"choices":[]}\n\ndata: [DONE]\n\n'
        await client.post(CHAT, chat("a"))  # the connection goes on
        assert (await client.response())["x-larder-cache"] == "hit"


@pytest.mark.parametrize(("path", "body"), [(CHAT, chat("a")), ("/api/chat", chat("a", stream=True))])
async def test_a_client_without_an_event_stream_gets_the_engines_status(
    resident: With, ollama: Holding, path: str, body: bytes
) -> None:
    ollama.free.clear()
    async with resident(**BEATING) as running:
        waits = asyncio.create_task(ask(running.port, path, body))
        await asyncio.sleep(0.2)
        ollama.free.set()
        assert b"loading" not in (await waits).body


async def test_a_load_that_fails_after_the_first_beat_is_an_event(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    ollama.refusal = b"out of memory"
    async with resident(**BEATING) as running:
        waits = asyncio.create_task(asked(running, "a", stream=True))
        await asyncio.sleep(0.2)
        ollama.free.set()
        answer = await waits
        assert answer.status == 200
        last = answer.chunks[-1]
        assert last.startswith(b"data: ")
        assert "out of memory" in json.loads(last.removeprefix(b"data: "))["error"]["message"]


async def test_an_engine_that_refuses_after_the_first_beat_is_an_event(
    resident: With, ollama: Holding, engine: Engine
) -> None:
    async def refusing(turn: Turn) -> None:
        if "/v1/" in turn.request.line:
            await turn.reply(b'{"error":"no"}', "400 Bad Request")
        else:
            await ollama(turn)

    engine.script = refusing
    ollama.free.clear()
    async with resident(**BEATING) as running:
        waits = asyncio.create_task(asked(running, "a", stream=True))
        await asyncio.sleep(0.2)
        ollama.free.set()
        answer = await waits
        assert b"the engine answered 400" in answer.chunks[-1]


async def test_a_wait_that_ends_after_the_first_beat_is_an_event(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident(**BEATING, **{"wait-seconds": 0.2}) as running:
        answer = await asked(running, "a", stream=True)
        assert answer.status == 200
        assert b"was not loaded within 0.2 s" in answer.chunks[-1]
