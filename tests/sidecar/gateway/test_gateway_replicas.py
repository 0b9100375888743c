"""Several replicas behind one name: a request goes to one that has its model."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.gateway import replicas
from larder_sidecar.gateway.serve import Running
from larder_sidecar.http.answer import going_away
from pydantic import ValidationError

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.scripted import Engine, Response, Turn, ask, until

MODELS = [{"id": model, "engine-name": model} for model in ("a", "b", "c")]
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


class Gateways:
    """The gateways behind the name."""

    def __init__(self, engines: dict[str, Engine]) -> None:
        self.engines = engines
        self.loaded: dict[str, list[str]] = {host: [] for host in engines}
        self.there = [*engines]
        self.known = True
        self.going = ""
        self.release = asyncio.Event()
        self.release.set()
        for host, engine in engines.items():
            engine.script = self._script(host)

    def _script(self, host: str):
        async def script(turn: Turn) -> None:
            if turn.request.line.startswith("GET /api/llm/stats"):
                told = {"loaded_models": self.loaded[host], "max_models": 2}
                await turn.reply(json.dumps(told).encode())
                return
            await self.release.wait()
            if host == self.going:
                answer = going_away()
                named = "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in answer.headers)
                await turn.reply(answer.body, "503 Service Unavailable", named)
                return
            await turn.reply(json.dumps({"from": host}).encode())

        return script

    async def resolve(self, host: str, port: int) -> list[str]:
        assert host == "ollama-replicas"
        if not self.known:
            raise TimeoutError
        return [*self.there]


@pytest.fixture
async def behind(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateways]:
    first = Engine(HOSTS[0])
    await first.start()
    others = [Engine(host, first.port) for host in HOSTS[1:]]
    for other in others:
        await other.start()
    found = Gateways(dict(zip(HOSTS, (first, *others), strict=True)))
    monkeypatch.setattr(replicas, "addresses", found.resolve)
    monkeypatch.setattr(replicas, "LOOK_SECONDS", 0.02)
    yield found
    for engine in found.engines.values():
        await engine.stop()


@pytest.fixture
async def front(start: Start, behind: Gateways) -> AsyncIterator[Running]:
    url = f"http://ollama-replicas:{behind.engines[HOSTS[0]].port}"
    engine = {"name": "ollama", "kind": "gateway", "url": url, "replicated": True, "models": ["a", "b", "c"]}
    limits = {"hold-seconds": 1}
    async with start(place="front", engines=[engine], models=MODELS, routing={}, limits=limits) as running:
        await looked(behind)
        yield running


async def looked(behind: Gateways) -> None:
    """Wait for two polls, so that the last change has been seen."""
    for _ in range(2):
        seen = {host: len(behind.engines[host].requests) for host in behind.there}
        await until(lambda: all(len(behind.engines[h].requests) > n for h, n in seen.items()), "a look")  # noqa: B023


async def chat(front: Running, model: str) -> Response:
    return await ask(front.port, CHAT, json.dumps({"model": model}).encode())


async def came_from(front: Running, model: str) -> str:
    return str((await chat(front, model)).json()["from"])


async def test_a_request_goes_where_its_model_is_loaded(front: Running, behind: Gateways) -> None:
    behind.loaded = {HOSTS[0]: ["a"], HOSTS[1]: ["b"], HOSTS[2]: []}
    await looked(behind)
    for _ in range(3):
        assert await came_from(front, "a") == HOSTS[0]
        assert await came_from(front, "b") == HOSTS[1]


async def test_requests_for_an_unloaded_model_go_to_one_replica(front: Running, behind: Gateways) -> None:
    places = {await came_from(front, "c") for _ in range(5)}
    assert len(places) == 1


async def test_an_unloaded_model_goes_to_a_replica_with_room(front: Running, behind: Gateways) -> None:
    behind.loaded = {HOSTS[0]: ["a", "b"], HOSTS[1]: ["a"], HOSTS[2]: ["a", "b"]}
    await looked(behind)
    assert await came_from(front, "c") == HOSTS[1]


async def test_the_least_busy_of_several_is_chosen(front: Running, behind: Gateways) -> None:
    behind.loaded = {host: ["a"] for host in HOSTS}
    await looked(behind)
    behind.release.clear()
    asking = [asyncio.create_task(came_from(front, "a")) for _ in range(6)]
    await asyncio.sleep(0.2)
    behind.release.set()
    came = await asyncio.gather(*asking)
    assert {host: came.count(host) for host in HOSTS} == dict.fromkeys(HOSTS, 2)


async def test_a_replica_that_has_ended_loses_no_request(front: Running, behind: Gateways) -> None:
    """Its DNS record lives a while longer."""
    behind.loaded = {HOSTS[0]: ["a"], HOSTS[1]: [], HOSTS[2]: []}
    await looked(behind)
    assert await came_from(front, "a") == HOSTS[0]
    await behind.engines[HOSTS[0]].stop()
    answers = [await chat(front, "a") for _ in range(4)]
    assert {answer.status for answer in answers} == {200}


async def test_a_draining_replica_loses_no_request(front: Running, behind: Gateways) -> None:
    """It still listens, and turns away requests that come before its drain is known."""
    behind.loaded = {HOSTS[0]: ["a"], HOSTS[1]: [], HOSTS[2]: []}
    await looked(behind)
    behind.going = HOSTS[0]
    answers = [await chat(front, "a") for _ in range(4)]
    assert {answer.status for answer in answers} == {200}
    asked = [request for request in behind.engines[HOSTS[0]].requests if request.line.startswith("POST")]
    assert len(asked) == 1, "it is passed over for a while"


async def test_the_client_is_told_when_all_replicas_drain(front: Running, behind: Gateways) -> None:
    behind.there = [HOSTS[0]]
    await looked(behind)
    behind.going = HOSTS[0]
    answer = await chat(front, "a")
    assert (answer.status, answer.code, answer["retry-after"]) == (503, "draining", "2")


async def test_new_replicas_are_found_and_removed_ones_are_dropped(front: Running, behind: Gateways) -> None:
    behind.loaded = {HOSTS[0]: [], HOSTS[1]: [], HOSTS[2]: ["a"]}
    behind.there = [HOSTS[0]]
    await looked(behind)
    assert await came_from(front, "a") == HOSTS[0]
    behind.there = [*HOSTS]
    await looked(behind)
    assert await came_from(front, "a") == HOSTS[2]


async def test_without_name_resolution_they_stay_known(front: Running, behind: Gateways) -> None:
    behind.known = False
    await looked(behind)
    assert (await chat(front, "a")).status == 200


async def test_a_request_is_held_until_a_replica_exists(front: Running, behind: Gateways) -> None:
    behind.there = []
    await asyncio.sleep(0.1)
    asking = asyncio.create_task(chat(front, "a"))
    await asyncio.sleep(0.5)
    assert not asking.done()
    behind.there = [HOSTS[1]]
    assert (await asking).json()["from"] == HOSTS[1]


def test_only_gateways_are_replicated() -> None:
    engine = {"kind": "vllm", "url": "http://e:1", "replicated": True}
    with pytest.raises(ValidationError, match="vllm cannot be replicated"):
        GatewayConfig.model_validate({"engines": [engine], "models": MODELS})
