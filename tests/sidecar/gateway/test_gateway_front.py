"""A front: several engines behind one address, each model answered by the engine that has it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.gateway.serve import Running
from pydantic import ValidationError

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.scripted import Engine, Response, Turn, ask

MODELS = [{"id": "tiny", "engine-name": "tiny"}, {"id": "phi-3-mini", "engine-name": "phi-3-mini", "aliases": ["phi"]}]


def engines(ollama: str, kserve: str) -> list[dict[str, object]]:
    return [
        {"name": "ollama", "kind": "gateway", "url": ollama, "models": ["tiny"]},
        {"name": "kserve", "kind": "vllm", "url": kserve, "models": ["phi-3-mini"]},
    ]


@dataclass
class Front:
    gateway: Running
    ollama: Engine
    kserve: Engine

    async def chat(self, model: str, path: str = CHAT, headers: str = "") -> Response:
        return await ask(self.gateway.port, path, json.dumps({"model": model}).encode(), headers)


@pytest.fixture
async def front(start: Start, engine: Engine) -> AsyncIterator[Front]:
    kserve = Engine()
    await kserve.start()
    try:
        async with start(place="front", engines=engines(engine.url, kserve.url), models=MODELS) as gateway:
            yield Front(gateway, engine, kserve)
    finally:
        await kserve.stop()


async def test_a_request_goes_to_the_engine_that_has_its_model(front: Front) -> None:
    assert (await front.chat("phi"))["x-larder-model"] == "phi-3-mini"
    assert (await front.chat("tiny"))["x-larder-model"] == "tiny"
    assert [json.loads(r.body)["model"] for r in front.kserve.requests] == ["phi-3-mini"]
    assert [json.loads(r.body)["model"] for r in front.ollama.requests] == ["tiny"]


async def test_a_dead_engine_is_a_503_for_its_own_models_alone(front: Front) -> None:
    await front.kserve.stop()
    refused = await front.chat("phi-3-mini")
    assert (refused.status, refused.code, refused["retry-after"]) == (503, "engine_unavailable", "2")
    assert (await front.chat("tiny")).status == 200


async def test_it_lists_the_models_of_all_engines_dead_ones_included(front: Front) -> None:
    await front.kserve.stop()
    listed = await ask(front.gateway.port, "/v1/models", method="GET")
    assert [model["id"] for model in json.loads(listed.body)["data"]] == ["tiny", "phi-3-mini"]


async def test_it_is_ready_whatever_its_engines_do_and_reports_each(front: Front) -> None:
    await front.kserve.stop()
    assert (await ask(front.gateway.admin_port, "/readyz", method="GET")).status == 200
    told = await ask(front.gateway.admin_port, "/enginez", method="GET")
    assert told.status == 503
    assert [(e["name"], e["kind"], e["ok"]) for e in json.loads(told.body)["engines"]] == [
        ("ollama", "gateway", True),
        ("kserve", "vllm", False),
    ]


async def test_it_names_the_chosen_model_itself_whatever_the_client_claims(front: Front) -> None:
    await front.chat("tiny", headers="x-larder-model: phi-3-mini\r\n")
    assert front.ollama.requests[0].headers["x-larder-model"] == "tiny"


async def test_a_path_that_its_engine_does_not_know_is_refused_with_the_engine_s_kind(front: Front) -> None:
    refused = await front.chat("phi", path="/api/chat")
    said = "model 'phi-3-mini' is on engine vllm, which does not answer /api/chat. Fix: use another path or model"
    assert (refused.status, refused.json()) == (400, {"error": said})
    assert front.kserve.requests == []


async def test_a_path_without_a_model_goes_to_the_first_engine_that_knows_it(front: Front) -> None:
    assert (await ask(front.gateway.port, "/api/version", method="GET")).status == 200
    assert [r.line for r in front.ollama.requests] == ["GET /api/version HTTP/1.1"]


@pytest.mark.parametrize(("place", "model"), [("alone", "tiny"), ("behind", "phi-3-mini")])
async def test_only_a_gateway_behind_a_front_accepts_its_choice(
    start: Start, engine: Engine, place: str, model: str
) -> None:
    async with start(place=place) as gateway:
        answer = await ask(gateway.port, CHAT, b'{"model": "tiny"}', "x-larder-model: phi-3-mini\r\n")
    assert answer["x-larder-model"] == model


async def test_an_outdated_front_leads_to_a_retry_instead_of_a_404(start: Start, engine: Engine) -> None:
    async with start(place="behind") as gateway:
        answer = await ask(gateway.port, CHAT, b'{"model": "moved"}', "x-larder-model: moved\r\n")
    assert (answer.status, answer.code, answer["retry-after"]) == (503, "model_moving", "2")
    assert engine.requests == []


URL = "http://127.0.0.1:9"
BAD = [
    ("front", engines(URL, URL)[:1], "model 'phi-3-mini' has 0 engines, not one"),
    ("front", [*engines(URL, URL), {**engines(URL, URL)[0], "name": "b"}], "model 'tiny' has 2 engines, not one"),
    ("front", [*engines(URL, URL), {**engines(URL, URL)[0], "models": []}], "two engines have one name"),
    ("alone", engines(URL, URL), "only a gateway whose place is 'front' serves more than one"),
    ("front", [*engines(URL, URL), {"name": "b", "kind": "vllm", "url": URL, "models": ["x"]}], "not configured"),
]


@pytest.mark.parametrize(("place", "behind", "says"), BAD, ids=[says for _, _, says in BAD])
def test_engines_that_do_not_partition_the_models_are_refused(place: str, behind: object, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        GatewayConfig.model_validate({"place": place, "engines": behind, "models": MODELS})


async def test_the_cache_headers_of_the_gateway_behind_it_pass(front: Front) -> None:
    async def met(turn: Turn) -> None:
        await turn.reply(b"{}", headers="x-larder-cache: miss\r\nx-larder-queue-ms: 12\r\nx-larder-model: other\r\n")

    front.ollama.script = front.kserve.script = met
    answer = await front.chat("tiny")
    told = [answer[name] for name in ("x-larder-cache", "x-larder-queue-ms", "x-larder-model")]
    assert told == ["miss", "12", "tiny"]
    assert (await front.chat("phi"))["x-larder-cache"] == ""  # vLLM has no say in it


async def test_operators_requests_go_with_their_token_to_the_gateway_that_has_the_model(
    front: Front,
) -> None:
    body, bearer = (
        b'{"model": "tiny", "pinned": false}',
        "Content-Type: application/json\r\nAuthorization: Bearer let-me\r\n",
    )
    assert (await ask(front.gateway.port, "/api/llm/pin", body, bearer)).status == 200
    (seen,) = front.ollama.requests
    assert (seen.line, seen.headers["authorization"]) == ("POST /api/llm/pin HTTP/1.1", "Bearer let-me")
    assert json.loads(seen.body) == {"model": "tiny", "pinned": False}
    assert (await ask(front.gateway.port, "/api/llm/pin", b"{}", bearer)).code == "model_required"
    refused = await ask(front.gateway.port, "/api/llm/preload", b'{"model": "phi"}', bearer)
    assert (refused.status, refused.code) == (400, "api_not_served")


async def test_its_stats_combine_those_of_the_gateways_behind_it(front: Front) -> None:
    told = {
        "cache_strategy": "ram",
        "loaded_models": ["tiny"],
        "avg_swap_time_ms": 40.0,
        "cache_hits": 3,
        "cache_misses": 1,
        "swaps": {"tiny": 2},
        "swap_times_ms": {"tiny": 40.0},
        "waiting": 1,
        "models": [{"model": "tiny"}],
    }

    async def says(turn: Turn) -> None:
        await turn.reply(json.dumps(told).encode())

    front.ollama.script = says
    stats = (await ask(front.gateway.port, "/api/llm/stats", method="GET")).json()
    assert list(stats)[:4] == ["cache_strategy", "loaded_models", "cache_hit_rate", "avg_swap_time_ms"]
    assert (stats["cache_hit_rate"], stats["avg_swap_time_ms"], stats["waiting"]) == (0.75, 40.0, 1)
    assert stats["models"] == [{"model": "tiny", "engine": "ollama"}]


@pytest.mark.parametrize("rubbish", [b"5", b"null", b"{}", b"[1]", b"x"])
async def test_a_gateway_without_valid_stats_is_left_out(front: Front, rubbish: bytes) -> None:
    async def says(turn: Turn) -> None:
        await turn.reply(rubbish)

    front.ollama.script = says
    stats = (await ask(front.gateway.port, "/api/llm/stats", method="GET")).json()
    assert (stats["cache_strategy"], stats["models"]) == ("engine", [])
