"""Requests of operators: preload, unload, pin."""

import asyncio

import pytest

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.holding import Holding
from tests.sidecar.gateway.resident import BEARER, MODELS, With, asked, chat, stats, waiting
from tests.sidecar.gateway.scripted import ask, connect, until


@pytest.mark.parametrize("word", ["preload", "unload", "pin"])
async def test_changes_need_the_token(resident: With, start: Start, word: str) -> None:
    path, body = f"/api/llm/{word}", b'{"model": "a"}'
    async with resident(**{"max-models": 2}) as running:
        refused = await ask(running.port, path, body)
        assert (refused.status, refused["www-authenticate"]) == (401, 'Bearer realm="larder"')
        assert (await ask(running.port, path, body, "Authorization: Bearer wrong-0123456789\r\n")).status == 401
        assert (await ask(running.port, path, body, BEARER)).status == 200
    async with start(models=MODELS, routing={}, residency={}) as running:
        assert (await ask(running.port, path, body)).code == "no_token_configured"
    async with start(models=MODELS, routing={}, residency={}, auth={"mutations": "open"}) as running:
        assert (await ask(running.port, path, body)).code == "json_wanted"  # as any page of the web might send it
        assert (await ask(running.port, path, body, "Content-Type: application/json\r\n")).status == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_body"),
        (b"[]", 400, "bad_body"),
        (b'{"model": 1}', 400, "bad_body"),
        (b'{"model": "a", "x": 1}', 400, "bad_body"),
        (b'{"model": "auto"}', 400, "model_required"),
        (b'{"model": "z"}', 404, "model_not_found"),
        (b'{"model": "%s"}' % (b"a" * 5000), 413, "body_too_large"),
    ],
)
async def test_a_body_that_names_no_model_changes_nothing(
    resident: With, ollama: Holding, body: bytes, status: int, code: str
) -> None:
    async with resident() as running:
        refused = await ask(running.port, "/api/llm/preload", body, BEARER)
        assert (refused.status, refused.code) == (status, code)
        assert ollama.loads == []


async def test_a_model_is_loaded_and_unloaded_by_hand(resident: With, ollama: Holding) -> None:
    async with resident() as running:
        loaded = (await ask(running.port, "/api/llm/preload", b'{"model": "a"}', BEARER)).json()
        assert (loaded["phase"], loaded["bytes"]) == ("loaded", 7)
        gone = (await ask(running.port, "/api/llm/unload", b'{"model": "a"}', BEARER)).json()
        assert gone["phase"] == "cold"
        assert ollama.unloads == ["a:latest"]
        told = await stats(running)
        # Nobody's request found or missed anything.
        assert (told["cache_hits"], told["cache_misses"], told["cache_hit_rate"]) == (0, 0, None)


async def test_an_unloaded_model_finishes_its_requests(resident: With, ollama: Holding) -> None:
    ollama.finish.clear()
    async with resident() as running, connect(running.port) as client:
        await client.post(CHAT, chat("a"))
        await client.head()
        unload = asyncio.create_task(ask(running.port, "/api/llm/unload", b'{"model": "a"}', BEARER))
        await asyncio.sleep(0.1)
        assert not unload.done()
        assert ollama.unloads == []
        ollama.finish.set()
        assert (await unload).json()["phase"] == "cold"


async def test_a_pin_cancels_an_unload(resident: With, ollama: Holding) -> None:
    ollama.finish.clear()
    async with resident(**{"max-models": 2}) as running, connect(running.port) as client:
        await client.post(CHAT, chat("a"))
        await client.head()
        unload = asyncio.create_task(ask(running.port, "/api/llm/unload", b'{"model": "a"}', BEARER))
        await asyncio.sleep(0.1)
        assert (await ask(running.port, "/api/llm/pin", b'{"model": "a"}', BEARER)).json()["pinned"]
        assert (await unload).code == "pinned"
        ollama.finish.set()
        await asyncio.sleep(0.1)
        assert ollama.unloads == []
        assert ollama.retold[-1] == ("a:latest", -1)


async def test_no_client_removes_a_pin(resident: With, ollama: Holding) -> None:
    async with resident(**{"max-models": 2, "pin": ["a"], "client-keep-alive": "obey"}) as running:
        await until(lambda: "a:latest" in ollama.held, "the pin")
        await asked(running, "a", "/api/chat", messages=[{"role": "user", "content": "hi"}], keep_alive=0)
        assert ollama.told[0]["keep_alive"] == -1
        assert ollama.keeps == [-1]


async def test_a_pin_during_the_load_is_reported(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident(**{"max-models": 2}) as running:
        loading = asyncio.create_task(asked(running, "a"))
        await waiting(running, 1)
        await ask(running.port, "/api/llm/pin", b'{"model": "a"}', BEARER)
        ollama.free.set()
        await loading
        await until(lambda: ollama.retold == [("a:latest", -1)], "the word")
