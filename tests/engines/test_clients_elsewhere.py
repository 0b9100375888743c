"""The clients that people have in JavaScript, Go and Java: each protocol by its own client, errors too."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.engines.client_programs import LANGUAGES, asked, program
from tests.engines.ollama_process import Ollama
from tests.engines.process import Process
from tests.engines.serving import serving
from tests.engines.speaking import BROKEN, NO_MEMORY, NUMBERS, TEXT, speaking
from tests.engines.test_clients import server
from tests.engines.test_llama_server import router
from tests.engines.test_ollama_store import ENTRY

__all__ = ["router", "server"]  # fixtures

pytestmark = pytest.mark.together("clients")
Told = dict[str, dict[str, Any]]
UNKNOWN = "model 'nobody' is not served here"


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def ask(language: str) -> Callable[[str, str], Told]:
    command = program(language)
    return lambda url, model: asked(command, url, model)


@pytest.fixture(scope="module", params=["at once", "after a heartbeat"])
def told(ask: Callable[[str, str], Told], request: pytest.FixtureRequest) -> Iterator[Told]:
    """By an engine of few words, which holds its models, or loads one for each request."""
    slow = {"residency": {"strategy": "none", "heartbeat-seconds": 0.1}}
    kind, more = ("gateway", {}) if request.param == "at once" else ("ollama", slow)
    models = [{"id": model, "engine-name": model} for model in ("tiny", BROKEN)]
    with speaking() as engine, serving(engines=[{"kind": kind, "url": engine}], models=models, **more) as url:
        yield ask(url, "tiny")


def text(told: Told, step: str) -> str:
    assert "error" not in told[step], told[step]
    return str(told[step]["result"])


@pytest.mark.parametrize("step", ["openai chat", "anthropic chat", "ollama chat"])
def test_they_ask(told: Told, step: str) -> None:
    assert text(told, step) == TEXT


@pytest.mark.parametrize("step", ["openai stream", "anthropic stream", "ollama stream"])
def test_they_stream(told: Told, step: str) -> None:
    assert text(told, step) == TEXT


def test_they_list_models(told: Told) -> None:
    assert "tiny" in text(told, "openai models")
    assert "tiny" in text(told, "ollama models")


@pytest.mark.parametrize("step", ["openai embeddings", "ollama embeddings"])
def test_they_embed(told: Told, step: str) -> None:
    assert text(told, step) == str(len(NUMBERS))


@pytest.mark.parametrize("step", ["openai error", "anthropic error", "ollama error"])
def test_they_read_why_they_were_refused(told: Told, step: str) -> None:
    assert UNKNOWN in told[step]["error"]
    assert told[step]["status"] == 404
    assert "[object" not in told[step]["error"]


@pytest.mark.parametrize("step", ["openai broken", "anthropic broken", "ollama broken"])
def test_they_read_why_a_stream_failed(told: Told, step: str, request: pytest.FixtureRequest) -> None:
    reason = NO_MEMORY if "after" in request.node.callspec.id else "the engine closed the connection"
    assert reason in told[step]["error"]


def test_ollama_s_clients_read_why_nothing_is_pulled(told: Told) -> None:
    assert "models come from the catalog" in told["ollama pull"]["error"]


def test_anthropic_s_clients_count_tokens_where_the_engine_does(told: Told, request: pytest.FixtureRequest) -> None:
    if "after" in request.node.callspec.id:
        assert "does not answer /v1/messages/count_tokens" in told["anthropic count"]["error"]
    else:
        assert text(told, "anthropic count") == "7"


def test_they_work_with_ollama(ask: Callable[[str, str], Told], server: Ollama) -> None:
    models = [{"id": model, "engine-name": model} for model in ("alpha", "beta")]
    with serving(engines=[{"kind": "ollama", "url": server.url}], models=models, residency={"max-models": 1}) as url:
        told = ask(url, "alpha")
    for step in ("openai chat", "openai stream", "anthropic chat", "anthropic stream", "ollama chat", "ollama stream"):
        assert text(told, step).strip(), step
    assert "alpha" in text(told, "ollama models")
    for step in ("openai embeddings", "ollama embeddings"):  # the engine's own words, through both protocols
        assert "does not support embeddings" in told[step]["error"]


def test_they_work_with_llama_server(ask: Callable[[str, str], Told], router: Process) -> None:
    engines = [{"kind": "llama-server", "url": router.url}]
    with serving(engines=engines, models=[{"id": ENTRY.id, "engine-name": ENTRY.id}]) as url:
        told = ask(url, ENTRY.id)
    for step in ("openai chat", "openai stream", "anthropic chat", "anthropic stream", "anthropic count"):
        assert text(told, step).strip(), step
    assert "engine llama-server does not answer /api/chat" in told["ollama chat"]["error"]
