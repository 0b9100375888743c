"""Paths that only some engines serve; and the greeting, which many tools request first."""

import json
from pathlib import Path

import pytest
from larder_sidecar.engines import ADAPTERS
from larder_sidecar.gateway.routes import ROUTES

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.scripted import Engine, ask

COMMON = [CHAT, "/v1/completions", "/v1/messages"]
EMBEDS = ["/v1/embeddings", "/v1/responses"]
NATIVE = ["/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show"]
COUNTS = ["/v1/messages/count_tokens"]
RERANKS = ["/rerank", "/v1/rerank"]
TOKENS = ["/tokenize", "/detokenize"]
LLAMA = [
    "/v1/responses/input_tokens",
    "/v1/chat/completions/input_tokens",
    "/reranking",
    "/v1/reranking",
    "/apply-template",
    "/infill",
]
VLLM = ["/v2/rerank", "/score", "/v1/score", "/classify", "/pooling"]
HAS = {
    "ollama": [*COMMON, *EMBEDS, *NATIVE],
    "llama-server": [*COMMON, *EMBEDS, *COUNTS, *RERANKS, *TOKENS, *LLAMA],
    "vllm": [*COMMON, *EMBEDS, *COUNTS, *RERANKS, *TOKENS, *VLLM],
    "shimmy": COMMON,
}
ALL = sorted({path for paths in HAS.values() for path in paths})


def test_these_are_all_paths_of_inference() -> None:
    assert sorted(path for path, route in ROUTES.items() if route.kind == "infer") == ALL


@pytest.mark.parametrize("kind", [*HAS, "gateway"])
async def test_each_engine_is_asked_for_the_paths_that_it_has(start: Start, engine: Engine, kind: str) -> None:
    async with start(engines=[{"kind": kind, "url": engine.url}]) as running:
        asked = {path: (await ask(running.port, path, b'{"model":"tiny"}')).status for path in ALL}
    assert [path for path, status in asked.items() if status == 200] == sorted(HAS.get(kind, ALL))
    assert {status for status in asked.values() if status != 200} <= {404}
    assert {json.loads(seen.body)["model"] for seen in engine.requests} == {"tiny:q4"}


def test_no_engine_is_asked_for_a_path_that_is_no_route() -> None:
    for adapter in ADAPTERS.values():
        assert adapter.paths <= ROUTES.keys()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("ollama", b"Ollama is running"),
        ("gateway", b"Ollama is running"),
        ("llama-server", b"Larder is running"),
        ("vllm", b"Larder is running"),
        ("shimmy", b"Larder is running"),
    ],
)
async def test_the_root_path_answers_with_a_greeting(
    start: Start, engine: Engine, kind: str, says: bytes, method: str
) -> None:
    async with start(engines=[{"kind": kind, "url": engine.url}]) as running:
        response = await ask(running.port, "/", method=method)
        assert (response.status, response["content-type"]) == (200, "text/plain; charset=utf-8")
        assert response.body == (says if method == "GET" else b"")
        assert response["content-length"] == str(len(says))
        refused = await ask(running.port, "/", b"{}")
        assert (refused.status, refused["allow"]) == (405, "GET, HEAD")
    assert not engine.requests


async def test_with_pulls_the_root_path_describes_the_service(start: Start, engine: Engine, tmp_path: Path) -> None:
    engines = [{"kind": "llama-server", "url": engine.url}]
    pulls = {"folder": str(tmp_path), "endpoint": "http://127.0.0.1:1"}
    async with start(engines=engines, pulls=pulls, auth={"mutations": "open"}) as running:
        head = await ask(running.port, "/", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert (await ask(running.port, "/", method="GET")).json()["engine"] == "llama-server"
