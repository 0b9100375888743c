"""Residency on the real engines: three models, room for two; what goes, what stays, and what the engine itself says."""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.gateway.serve import Running, running
from larder_sidecar.log import Log

from bench.processes import free_port
from components.serving import llama_server
from tests.engines.ollama_process import Ollama, find
from tests.engines.process import Process, built, lacking, placed
from tests.engines.test_ollama_store import ENTRY, fill, seal, unseal
from tests.sidecar.gateway import scripted
from tests.sidecar.gateway.scripted import Response, ask

MODELS = ("alpha", "beta", "gamma")
TOKEN = "let-me-0123456789"


@dataclass
class Engine:
    """A running engine, and how it says what it holds."""

    kind: str
    process: Process
    held: Callable[[], set[str]]


EACH = [pytest.param(kind, marks=pytest.mark.together(f"residency-{kind}")) for kind in ("ollama", "llama-server")]
"""One engine of a kind, and not one in each process of the tests."""


@pytest.fixture(scope="module", params=EACH)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="larder-residency-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for seed, model in enumerate(MODELS):
            store = fill(folder, model, seed=seed)
        with contextlib.ExitStack() as stack:
            yield (_ollama if request.param == "ollama" else _router)(stack, folder, store)


def _ollama(stack: contextlib.ExitStack, folder: Path, store: Path) -> Engine:
    binary = find()
    if binary is None:
        lacking("no Ollama: set LARDER_OLLAMA, or build the toolchain with `make up`")
        raise AssertionError
    seal(store)
    stack.callback(unseal, store)
    process = stack.enter_context(Ollama(binary, store, folder, OLLAMA_MAX_LOADED_MODELS="3"))

    def held() -> set[str]:
        return {model["name"].removesuffix(":latest") for model in process.get("/api/ps")["models"]}

    return Engine("ollama", process, held)


def _router(stack: contextlib.ExitStack, folder: Path, store: Path) -> Engine:
    binary = built("llama-server", "bin/llama-server")
    if binary is None:
        lacking("no llama-server: build the toolchain with `make up`")
        raise AssertionError
    port, presets = free_port(), folder / llama_server.FILE
    entries = [ENTRY.model_copy(update={"id": model}) for model in MODELS]
    presets.write_text(llama_server.presets(entries).replace("/weights/ollama", str(store)))
    arguments = [
        argument.replace("8081", str(port)).replace(f"{llama_server.FOLDER}/{llama_server.FILE}", str(presets))
        for argument in llama_server.arguments(len(MODELS))
    ]
    process = stack.enter_context(Process([placed(binary, folder), *arguments], port, folder, {}))

    def held() -> set[str]:
        listed = process.get("/models")["data"]
        return {model["id"] for model in listed if model["status"]["value"] in ("loaded", "loading")}

    return Engine("llama-server", process, held)


class Gateway:
    """The gateway before the engine, and a client."""

    def __init__(self, running: Running, engine: Engine) -> None:
        self.port, self.engine = running.port, engine

    async def chat(self, model: str, path: str = "/v1/chat/completions", **more: object) -> Response:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2, **more}
        return await ask(self.port, path, json.dumps(body).encode())

    async def say(self, word: str, model: str, **more: object) -> Response:
        body = json.dumps({"model": model, **more}).encode()
        headers = f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        return await ask(self.port, f"/api/llm/{word}", body, headers)

    async def stats(self) -> dict[str, Any]:
        return (await ask(self.port, "/api/llm/stats", method="GET")).json()

    async def holds(self, models: set[str]) -> None:
        """Within five seconds."""
        for _ in range(100):
            if await self.held() == models:
                return
            await asyncio.sleep(0.05)
        assert await self.held() == models

    async def held(self) -> set[str]:
        return await asyncio.to_thread(self.engine.held)


@pytest.fixture
def before(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(scripted, "WAIT", 60.0)  # real loads, on a machine that may be busy
    token = tmp_path / "token"
    token.write_text(TOKEN)

    @contextlib.asynccontextmanager
    async def starting(**residency: object) -> AsyncIterator[Gateway]:
        config = {
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "engines": [{"kind": engine.kind, "url": engine.process.url}],
            "models": [{"id": model, "engine-name": model} for model in MODELS],
            "auth": {"token-file": str(token)},
            "residency": {"strategy": "ram", "max-models": 2, "min-residency": 0, **residency},
        }
        async with running(GatewayConfig.model_validate(config), Log("error")) as found:
            gateway = Gateway(found, engine)
            for model in MODELS:  # what the test before has left
                await gateway.say("unload", model)
            assert await gateway.held() == set()
            yield gateway

    return starting


async def test_who_was_used_least_recently_goes(before: Callable[..., Any]) -> None:
    async with before() as gateway:
        seen = []
        for model in ("alpha", "beta", "alpha", "gamma", "beta", "gamma", "alpha"):
            answer = await gateway.chat(model)
            assert answer.status == 200, answer.body
            seen.append((answer["x-larder-cache"], await gateway.held()))
        assert seen == [
            ("miss", {"alpha"}),
            ("miss", {"alpha", "beta"}),
            ("hit", {"alpha", "beta"}),
            ("miss", {"alpha", "gamma"}),
            ("miss", {"gamma", "beta"}),
            ("hit", {"gamma", "beta"}),
            ("miss", {"gamma", "alpha"}),
        ]
        stats = await gateway.stats()
        assert stats["cache_strategy"] == "ram"
        assert set(stats["loaded_models"]) == {"gamma", "alpha"}
        assert (stats["cache_hits"], stats["cache_misses"], stats["cache_hit_rate"]) == (2, 5, round(2 / 7, 4))
        assert stats["swaps"] == {"alpha": 2, "beta": 2, "gamma": 1}
        assert stats["evictions"]["room"] == 3
        assert stats["avg_swap_time_ms"] > 0


async def test_what_is_unloaded_is_really_gone(before: Callable[..., Any], engine: Engine) -> None:
    """A process of its own for each model, in both engines."""
    async with before() as gateway:
        await gateway.chat("alpha")
        await gateway.chat("beta")
        assert len(engine.process.children()) == 2
        assert (await gateway.say("unload", "alpha")).json()["phase"] == "cold"
        assert len(engine.process.children()) == 1
        assert await gateway.held() == {"beta"}


async def test_none_unloads_after_the_answer(before: Callable[..., Any]) -> None:
    async with before(strategy="none", **{"max-models": 1}) as gateway:
        assert (await gateway.chat("alpha")).status == 200
        await gateway.holds(set())


async def test_an_idle_model_goes_when_its_time_is_over_and_not_before(before: Callable[..., Any]) -> None:
    async with before(**{"keep-alive": 1.0}) as gateway:
        await gateway.chat("alpha")
        await asyncio.sleep(0.6)
        await gateway.chat("alpha")  # which begins anew
        await asyncio.sleep(0.6)
        assert await gateway.held() == {"alpha"}
        await asyncio.sleep(0.9)
        assert await gateway.held() == set()


async def test_a_pin_outlives_all_others(before: Callable[..., Any]) -> None:
    async with before() as gateway:
        pinned = await gateway.say("pin", "alpha")
        assert pinned.json()["pinned"], pinned.body
        for model in ("beta", "gamma", "beta"):
            assert (await gateway.chat(model)).status == 200
        assert await gateway.held() == {"alpha", "beta"}
        refused = await gateway.say("unload", "alpha")
        assert (refused.status, refused.code) == (409, "pinned")
        assert (await gateway.say("pin", "beta")).code == "no_room"
        assert not (await gateway.say("pin", "alpha", pinned=False)).json()["pinned"]
        await asyncio.sleep(0.5)  # the engine is told, and while it is the model counts as busy
        await gateway.chat("gamma")
        assert await gateway.held() == {"beta", "gamma"}


async def test_what_is_preloaded_is_there_before_anybody_asks(before: Callable[..., Any]) -> None:
    async with before(preload=["beta"]) as gateway:
        answer = await gateway.say("preload", "alpha")
        assert (answer.status, answer.json()["phase"]) == (200, "loaded"), answer.body
        assert (await gateway.chat("alpha"))["x-larder-cache"] == "hit"


async def test_thirty_requests_for_three_models_in_two_places_are_all_answered(before: Callable[..., Any]) -> None:
    async with before(**{"max-wait": 0.2}) as gateway:
        answers = await asyncio.gather(*(gateway.chat(MODELS[n % 3]) for n in range(30)))
        assert {answer.status for answer in answers} == {200}
        stats = await gateway.stats()
        # Regrouped by model: a load for each request would be thirty.
        assert sum(stats["swaps"].values()) < 15
        assert len(await gateway.held()) <= 2


async def test_the_engine_s_own_word_is_taken_when_it_differs(before: Callable[..., Any], engine: Engine) -> None:
    """Somebody unloads a model behind the gateway's back; the next look finds it gone, and a request loads it again."""
    async with before() as gateway:
        await gateway.chat("alpha")
        path = "/api/generate" if engine.kind == "ollama" else "/models/unload"
        body = {"model": "alpha", "keep_alive": 0, "stream": False}
        await asyncio.to_thread(engine.process.post, path, body)
        await gateway.holds(set())
        assert (await gateway.chat("alpha")).status == 200
        assert await gateway.held() == {"alpha"}
