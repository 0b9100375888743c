"""`ollama stop`, and other requests that only unload a model: they never load one."""

import json

import pytest

from tests.sidecar.gateway.holding import Holding
from tests.sidecar.gateway.resident import With, asked, phase
from tests.sidecar.gateway.scripted import ask, until

STOPS = [
    ("/api/generate", {"keep_alive": 0}),
    ("/api/generate", {"keep_alive": "0s", "prompt": ""}),
    ("/api/generate", {"keep_alive": "0", "prompt": None, "stream": False}),
    ("/api/chat", {"keep_alive": 0, "messages": []}),
    ("/api/chat", {"keep_alive": 0.0}),
]


@pytest.mark.parametrize(("path", "sent"), STOPS)
@pytest.mark.parametrize("word", ["ignore", "clamp", "obey"])
async def test_a_model_that_is_not_loaded_is_not_loaded_to_be_stopped(
    resident: With, ollama: Holding, word: str, path: str, sent: dict[str, object]
) -> None:
    async with resident(**{"client-keep-alive": word}) as running:
        response = await ask(running.port, path, json.dumps({"model": "a", **sent}).encode())
        told = response.json()
        assert (response.status, told["model"], told["done"], told["done_reason"]) == (200, "a", True, "unload")
        assert told["message" if path == "/api/chat" else "response"] in ("", {"role": "assistant", "content": ""})
        assert (ollama.loads, ollama.unloads) == ([], [])


@pytest.mark.parametrize(("path", "sent"), STOPS)
@pytest.mark.parametrize("word", ["clamp", "obey"])
async def test_a_client_whose_keep_alive_counts_stops_a_model(
    resident: With, ollama: Holding, word: str, path: str, sent: dict[str, object]
) -> None:
    async with resident(**{"client-keep-alive": word, "keep-alive": 600}) as running:
        await asked(running, "a")
        response = await ask(running.port, path, json.dumps({"model": "a", **sent}).encode())
        assert response.json()["done_reason"] == "unload"
        await until(lambda: ollama.unloads == ["a:latest"], "the model to go")
        assert len(ollama.told) == 1  # the chat


async def test_a_model_that_others_use_stays_where_a_client_s_keep_alive_is_ignored(
    resident: With, ollama: Holding
) -> None:
    async with resident() as running:
        await asked(running, "a")
        response = await ask(running.port, "/api/generate", b'{"model":"a","keep_alive":0}')
        assert (response.status, response.json()["done_reason"]) == (200, "load")
        assert await phase(running, "a") == "loaded"
        assert ollama.unloads == []


async def test_a_pinned_model_stays(resident: With, ollama: Holding) -> None:
    async with resident(**{"client-keep-alive": "obey", "pin": ["a"], "max-models": 2}) as running:
        await until(lambda: ollama.held == {"a:latest"}, "the pinned model")
        response = await ask(running.port, "/api/generate", b'{"model":"a","keep_alive":0}')
        assert response.json()["done_reason"] == "load"
        assert ollama.unloads == []


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/api/generate", {"keep_alive": 0, "prompt": "hello"}),
        ("/api/chat", {"keep_alive": 0, "messages": [{"role": "user", "content": "hello"}]}),
        ("/api/embed", {"keep_alive": 0, "input": "hello"}),
        ("/api/chat", {"keep_alive": 30, "messages": []}),
    ],
)
async def test_a_request_that_wants_an_answer_gets_one(
    resident: With, ollama: Holding, path: str, sent: dict[str, object]
) -> None:
    async with resident() as running:
        assert (await ask(running.port, path, json.dumps({"model": "a", **sent}).encode())).status == 200
        assert (ollama.loads, len(ollama.told)) == (["a:latest"], 1)


async def test_a_repeated_prompt_is_passed_to_the_engine(resident: With, ollama: Holding) -> None:
    async with resident() as running:
        body = b'{"model":"a","keep_alive":0,"prompt":"","prompt":"hello"}'
        assert (await ask(running.port, "/api/generate", body)).status == 200
        assert len(ollama.told) == 1
