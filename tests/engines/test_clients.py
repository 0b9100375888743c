"""The clients that people have, before a real Ollama: what works with it works through the gateway."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.ollama_process import Ollama, find
from tests.engines.process import lacking
from tests.engines.serving import serving
from tests.engines.test_ollama_store import ENTRY, fill, seal, unseal

if TYPE_CHECKING:  # three seconds of imports, for the one worker that needs them
    import ollama
    import openai

pytestmark = pytest.mark.together("clients")
MODELS = ("alpha", "beta")
HELLO = [{"role": "user", "content": "hello"}]
KEEP_ALIVE = 700
UNKNOWN = "model 'alpah' is not served here; did you mean alpha or my-alpha?"


@pytest.fixture(scope="module")
def server() -> Iterator[Ollama]:
    binary = find()
    if binary is None:
        lacking("no Ollama: set LARDER_OLLAMA, or build the toolchain with `make up`")
        return
    with tempfile.TemporaryDirectory(prefix="larder-clients-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for seed, model in enumerate(MODELS):
            store = fill(folder, model, seed=seed)
        seal(store)
        try:
            with Ollama(binary, store, folder) as process:
                yield process
        finally:
            unseal(store)


@pytest.fixture(scope="module")
def url(server: Ollama) -> Iterator[str]:
    with serving(
        engines=[{"kind": "ollama", "url": server.url}],
        models=[{"id": model, "engine-name": model, "aliases": [f"my-{model}"]} for model in MODELS],
        routing={"rules": [{"name": "greeting", "pattern": "^hello$", "model": "beta"}]},
        residency={"max-models": 1, "keep-alive": KEEP_ALIVE},
    ) as url:
        yield url


@pytest.fixture
def by_openai(url: str) -> "Iterator[openai.OpenAI]":
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=60) as client:
        yield client


def test_openai_lists_models_and_asks_one_by_any_of_its_names(by_openai: "openai.OpenAI") -> None:
    assert [model.id for model in by_openai.models.list()] == list(MODELS)
    for name in ("alpha", "my-alpha", "ALPHA:latest"):
        answer = by_openai.chat.completions.create(model=name, messages=HELLO, max_tokens=4)  # type: ignore[arg-type]
        assert answer.choices[0].message.content


def test_openai_streams(by_openai: "openai.OpenAI") -> None:
    from openai.types.chat import ChatCompletionChunk

    stream = by_openai.chat.completions.create(model="alpha", messages=HELLO, max_tokens=8, stream=True)  # type: ignore[arg-type]
    chunks = [chunk for chunk in stream if isinstance(chunk, ChatCompletionChunk) and chunk.choices]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_openai_leaves_the_choice_to_the_rules(by_openai: "openai.OpenAI") -> None:
    raw = by_openai.chat.completions.with_raw_response.create(model="auto", messages=HELLO, max_tokens=4)  # type: ignore[arg-type]
    assert (raw.headers["x-larder-model"], raw.headers["x-larder-rule"]) == ("beta", "greeting")


def test_openai_completes_and_responds(by_openai: "openai.OpenAI") -> None:
    assert by_openai.completions.create(model="alpha", prompt="hello", max_tokens=4).choices[0].text
    assert by_openai.responses.create(model="alpha", input="hello", max_output_tokens=4).output_text


def test_what_the_engine_refuses_is_told_in_its_own_words(by_openai: "openai.OpenAI") -> None:
    import openai

    with pytest.raises(openai.InternalServerError, match="does not support embeddings"):
        by_openai.embeddings.create(model="alpha", input="hello")


def test_openai_raises_the_exceptions_of_its_own(by_openai: "openai.OpenAI") -> None:
    import openai

    with pytest.raises(openai.NotFoundError, match="did you mean alpha") as refused:
        by_openai.chat.completions.create(model="alpah", messages=HELLO)  # type: ignore[arg-type]
    assert refused.value.code == "model_not_found"
    with pytest.raises(openai.PermissionDeniedError):
        by_openai.chat.completions.create(model="gpt-oss:120b-cloud", messages=HELLO)  # type: ignore[arg-type]


def test_keep_alive_holds_for_clients_that_know_nothing_of_it(by_openai: "openai.OpenAI", server: Ollama) -> None:
    """Ollama itself drops `keep_alive` on /v1: the model would go after its own five minutes."""
    by_openai.chat.completions.create(model="alpha", messages=HELLO, max_tokens=4)  # type: ignore[arg-type]
    (held,) = server.get("/api/ps")["models"]
    until = datetime.fromisoformat(held["expires_at"])
    assert KEEP_ALIVE - 60 < (until - datetime.now(UTC)).total_seconds() <= KEEP_ALIVE


def test_anthropic_asks_and_streams(url: str) -> None:
    import anthropic

    with anthropic.Anthropic(base_url=url, api_key="any", max_retries=0, timeout=60) as client:
        answer = client.messages.create(model="beta", messages=HELLO, max_tokens=8)  # type: ignore[arg-type]
        assert answer.content
        with client.messages.stream(model="beta", messages=HELLO, max_tokens=8) as stream:  # type: ignore[arg-type]
            assert "".join(stream.text_stream)
            assert stream.get_final_message().stop_reason


@pytest.fixture
def by_ollama(url: str) -> "Iterator[ollama.Client]":
    import ollama

    client = ollama.Client(host=url, timeout=60)
    yield client
    client._client.close()


def test_ollama_asks_and_streams(by_ollama: "ollama.Client") -> None:
    assert by_ollama.chat(model="alpha", messages=HELLO, options={"num_predict": 4}).message.content
    pieces = [*by_ollama.generate(model="alpha", prompt="hello", stream=True, options={"num_predict": 4})]
    assert pieces[-1].done


def test_ollama_sees_what_there_is(by_ollama: "ollama.Client") -> None:
    by_ollama.chat(model="beta", messages=HELLO, options={"num_predict": 4})
    assert {model.model for model in by_ollama.list().models} == {f"{model}:latest" for model in MODELS}
    assert [model.name for model in by_ollama.ps().models] == ["beta:latest"]
    assert by_ollama.show("alpha").template == ENTRY.ollama.template


def test_what_ollama_s_clients_say_of_loading_makes_nobody_wait(by_ollama: "ollama.Client", server: Ollama) -> None:
    """Another num_ctx would load the model anew, and another keep-alive would hold for everybody."""
    by_ollama.chat(model="beta", messages=HELLO, options={"num_predict": 4})
    (before,) = server.get("/api/ps")["models"]
    by_ollama.chat(model="beta", messages=HELLO, options={"num_predict": 4, "num_ctx": 512}, keep_alive=-1)
    (after,) = server.get("/api/ps")["models"]
    assert after["context_length"] == before["context_length"]
    left = datetime.fromisoformat(after["expires_at"]) - datetime.now(UTC)
    assert left.total_seconds() <= KEEP_ALIVE


def test_ollama_s_own_embeddings_have_two_paths(by_ollama: "ollama.Client") -> None:
    import ollama

    for ask in (lambda: by_ollama.embeddings("alpha", "hello"), lambda: by_ollama.embed("alpha", "hello")):
        with pytest.raises(ollama.ResponseError, match="does not support embeddings"):
            ask()


def test_ollama_s_clients_read_what_the_gateway_says(by_ollama: "ollama.Client") -> None:
    import ollama

    with pytest.raises(ollama.ResponseError) as refused:
        by_ollama.chat(model="alpah", messages=HELLO)
    assert refused.value.error == UNKNOWN


def test_anthropic_s_clients_read_what_the_gateway_says(url: str) -> None:
    import anthropic

    with anthropic.Anthropic(base_url=url, api_key="any", max_retries=0, timeout=60) as client:
        with pytest.raises(anthropic.NotFoundError) as refused:
            client.messages.create(model="alpah", messages=HELLO, max_tokens=8)  # type: ignore[arg-type]
        assert refused.value.body == {
            "type": "error",
            "error": {"type": "not_found_error", "message": UNKNOWN},
        }
        assert [model.id for model in client.models.list()] == list(MODELS)


def by_cli(url: str, home: Path, *words: str) -> str:
    """Run Ollama's command line; return the text that it prints."""
    binary = find()
    assert binary
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "OLLAMA_HOST": url}
    done = subprocess.run([binary, *words], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_line_of_ollama_works(url: str, server: Ollama, tmp_path: Path) -> None:
    assert all(model in by_cli(url, tmp_path, "list") for model in MODELS)
    assert "architecture" in by_cli(url, tmp_path, "show", "alpha")
    assert by_cli(url, tmp_path, "run", "alpha", "hello").strip()
    assert "alpha" in by_cli(url, tmp_path, "ps")
    by_cli(url, tmp_path, "stop", "beta")
    by_cli(url, tmp_path, "stop", "alpha")
    (held,) = server.get("/api/ps")["models"]  # others may be asking it
    assert held["name"] == "alpha:latest"


def test_ollama_may_not_change_what_is_stored(by_ollama: "ollama.Client") -> None:
    import ollama

    for change in (by_ollama.pull, by_ollama.push, by_ollama.delete):
        with pytest.raises(ollama.ResponseError, match="larder:models"):
            change("alpha")
