"""Requests that leave the choice of the model to the gateway, as clients see them."""

import json
from typing import Any

import pytest
from larder_sidecar.gateway.serve import Running

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.scripted import Engine, Response, ask

RULES = [
    {"name": "code", "pattern": "(?i)(write|implement).*code", "model": "PHI"},
    {"endpoint": "/v1/embeddings", "model": "phi-3-mini"},
]
ROUTED: dict[str, Any] = {
    "models": [
        {"id": "tiny", "engine-name": "tiny"},
        {"id": "phi-3-mini", "engine-name": "phi3:mini", "aliases": ["phi"]},
    ],
    "routing": {"default": "tiny", "rules": RULES},
}


async def chat(gateway: Running, text: str, path: str = CHAT, **fields: object) -> Response:
    body = {**fields, "messages": [{"role": "user", "content": text}]}
    return await ask(gateway.port, path, json.dumps(body).encode())


def asked(engine: Engine) -> list[str]:
    return [json.loads(request.body)["model"] for request in engine.requests]


@pytest.mark.parametrize("model", [{}, {"model": ""}, {"model": None}, {"model": "auto"}, {"model": "AUTO"}], ids=str)
async def test_a_request_without_a_model_gets_the_one_of_the_rule(
    start: Start, engine: Engine, model: dict[str, Any]
) -> None:
    async with start(**ROUTED) as gateway:
        answer = await chat(gateway, "Write some code", **model)
    assert (answer["x-larder-model"], answer["x-larder-rule"]) == ("phi-3-mini", "code")
    assert asked(engine) == ["phi3:mini"]


async def test_the_default_answers_if_no_rule_holds(start: Start, engine: Engine) -> None:
    async with start(**ROUTED) as gateway:
        answer = await chat(gateway, "hello")
    assert (answer["x-larder-model"], answer["x-larder-rule"]) == ("tiny", "default")


async def test_a_named_model_takes_precedence_over_rules(start: Start, engine: Engine) -> None:
    async with start(**ROUTED) as gateway:
        answer = await chat(gateway, "Write some code", model="tiny")
        assert answer["x-larder-model"] == "tiny"
        assert "x-larder-rule" not in dict(answer.headers)
        assert (await chat(gateway, "Write some code", model="tinny")).code == "model_not_found"


async def test_without_a_default_a_request_that_no_rule_matches_is_refused(start: Start, engine: Engine) -> None:
    async with start(**{**ROUTED, "routing": {"rules": RULES}}) as gateway:
        assert (await chat(gateway, "write code")).status == 200
        assert (await chat(gateway, "hello")).code == "model_required"


async def test_it_explains_which_rule_and_why_and_runs_nothing(start: Start, engine: Engine) -> None:
    async with start(**ROUTED) as gateway:
        told = (await chat(gateway, "please implement code", path="/api/llm/route")).json()
        embed = b'{"input": "x"}'
        by_path = (await ask(gateway.port, "/api/llm/route?endpoint=/v1/embeddings", embed)).json()
        named = (await chat(gateway, "x", path="/api/llm/route", model="phi")).json()
        nothing = (await chat(gateway, "hello", path="/api/llm/route")).json()
        unknown = await chat(gateway, "x", path="/api/llm/route", model="phy")
        nowhere = await chat(gateway, "x", path="/api/llm/route?endpoint=/api/show")
    assert told == {
        "model": "phi-3-mini",
        "engine": "engine",
        "engine_model": "phi3:mini",
        "rule": "code",
        "why": "rule 'code' holds",
        "residency": None,
        "considered": [{"rule": "code", "model": "PHI", "holds": True, "why_not": None}],
    }
    assert by_path["rule"] == "rule-2"
    assert by_path["considered"] == [
        {"rule": "code", "model": "PHI", "holds": False, "why_not": "the pattern is not found"},
        {"rule": "rule-2", "model": "phi-3-mini", "holds": True, "why_not": None},
    ]
    assert (named["model"], named["rule"], named["why"]) == ("phi-3-mini", None, "the request names 'phi'")
    assert (nothing["model"], nothing["why"]) == ("tiny", "no rule holds, and this is the default")
    assert (unknown.status, unknown.code) == (404, "model_not_found")
    assert (nowhere.status, nowhere.code) == (404, "path_not_found")
    assert engine.requests == []


async def test_choices_are_counted_by_rule(start: Start, engine: Engine) -> None:
    async with start(**ROUTED) as gateway:
        await chat(gateway, "write code")
        await chat(gateway, "hello", model="auto")
        await chat(gateway, "hello", model="tiny")
        text = (await ask(gateway.admin_port, "/metrics", method="GET")).body.decode()
    assert 'larder_routed_requests_total{rule="code"} 1.0' in text
    assert 'larder_routed_requests_total{rule="default"} 1.0' in text


async def test_a_gateway_behind_a_front_follows_its_choice(start: Start, engine: Engine) -> None:
    async with start(place="behind", **ROUTED) as behind:
        link = {"kind": "gateway", "url": f"http://127.0.0.1:{behind.port}"}
        async with start(place="front", **{**ROUTED, "engines": [link]}) as front:
            answer = await chat(front, "write code")
            assert (answer["x-larder-model"], answer["x-larder-rule"]) == ("phi-3-mini", "code")
            assert (await chat(front, "write code", path="/api/llm/route")).json()["rule"] == "code"
            assert (await chat(behind, "write code", path="/api/llm/route")).status == 404
    assert asked(engine) == ["phi3:mini"]


async def test_show_without_a_name_uses_the_default_and_no_rules(start: Start, engine: Engine) -> None:
    async with start(
        **{**ROUTED, "routing": {"default": "tiny", "rules": [{"max-characters": 9, "model": "phi"}]}}
    ) as gw:
        answer = await ask(gw.port, "/api/show", b'{"name": ""}')
    assert (answer["x-larder-model"], answer["x-larder-rule"]) == ("tiny", "default")
