"""Load options of clients of Ollama's own API."""

import pytest

from tests.sidecar.gateway.holding import Holding
from tests.sidecar.gateway.resident import With, asked, stats
from tests.sidecar.gateway.scripted import ask

WORDS: list[tuple[dict[str, object], dict[str, object], dict[str, object], float]] = [
    ({}, {"keep_alive": -1}, {"keep_alive": 120}, 120),
    ({}, {"keep_alive": "5h"}, {"keep_alive": 120}, 120),
    ({}, {"keep_alive": None}, {"keep_alive": 120}, 120),
    ({}, {}, {}, 120),
    ({"client-keep-alive": "obey"}, {"keep_alive": "5m"}, {"keep_alive": 300}, 300),
    ({"client-keep-alive": "obey"}, {"keep_alive": None}, {"keep_alive": 120}, 120),
    ({"client-keep-alive": "clamp"}, {"keep_alive": "5m"}, {"keep_alive": 120}, 120),
    ({"client-keep-alive": "clamp"}, {"keep_alive": "90s"}, {"keep_alive": 90}, 90),
    ({"client-keep-alive": "clamp"}, {"keep_alive": 1.5}, {"keep_alive": 60}, 1.5),
    ({}, {"options": {"num_ctx": 9, "top_k": 1, "NUM_GPU": 2}}, {"options": {"top_k": 1}}, 120),
    ({}, {"options": {"top_k": 1}}, {"options": {"top_k": 1}}, 120),
    ({}, {"options": None}, {"options": None}, 120),
    ({}, {"\u212aeep_alive": -1, "option\u017f": {"num_ctx": 9}}, {"\u212aeep_alive": 120, "option\u017f": {}}, 120),
    ({"client-keep-alive": "obey"}, {"keep_alive": 10**400}, {"keep_alive": -1}, 0),
    ({"client-options": "obey"}, {"options": {"num_ctx": 9}}, {"options": {"num_ctx": 9}}, 120),
]


@pytest.mark.parametrize(("rules", "said", "told", "lasts"), WORDS)
async def test_load_options_of_a_client(
    resident: With,
    ollama: Holding,
    rules: dict[str, object],
    said: dict[str, object],
    told: dict[str, object],
    lasts: float,
) -> None:
    async with resident(**rules) as running:
        answer = await asked(running, "a", "/api/chat", **said)
        assert answer.status == 200, answer.body
        (body,) = ollama.told
        assert body == {"model": "a:latest", "messages": [], **told}
        (model, *_) = (await stats(running))["models"]
        assert model["expires_in_s"] == (pytest.approx(lasts, abs=2) if lasts else None)


@pytest.mark.parametrize("value", ["", "1d", "soon", [1], True, "NaN", "9" * 20_000])
async def test_an_invalid_keep_alive_is_refused(resident: With, ollama: Holding, value: object) -> None:
    async with resident() as running:
        refused = await asked(running, "a", "/api/chat", keep_alive=value)
        assert "keep_alive" in str(refused.json()["error"])
        assert (refused.status, ollama.told) == (400, [])


@pytest.mark.parametrize(
    "options", [b'{"num_ctx":9,"x":"\xff"}', b'{"num_ctx":9,"x":' + b"[" * 2000 + b"]" * 2000 + b"}"]
)
async def test_options_that_cannot_be_read_are_refused(resident: With, ollama: Holding, options: bytes) -> None:
    """Go's parser would accept them, and reload the model."""
    async with resident() as running:
        refused = await ask(running.port, "/api/chat", b'{"model":"a","options":' + options + b"}")
        assert "options is not valid JSON" in str(refused.json()["error"])
        assert (refused.status, ollama.told) == (400, [])


async def test_show_loads_nothing(resident: With, ollama: Holding) -> None:
    ollama.held = {"a:latest"}
    async with resident() as running:
        await ask(running.port, "/api/show", b'{"model": "a"}')
        assert ollama.loads == []
