"""Lookup of a model by name."""

import time

import pytest
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.gateway.names import Names, Unknown
from pydantic import ValidationError

from tests.sidecar.gateway.scripted import TURN_SECONDS


def config(*models: tuple[str, str, list[str]], default: str | None = None) -> GatewayConfig:
    return GatewayConfig.model_validate(
        {
            "engines": [{"kind": "ollama", "url": "http://127.0.0.1:11434"}],
            "models": [{"id": i, "engine-name": e, "aliases": a} for i, e, a in models],
            "routing": {"default": default},
        }
    )


@pytest.mark.parametrize(
    "name",
    [
        "tiny",
        "TINY",
        "Tiny:latest",
        "tinyllama:1.1b",
        "library/tinyllama:1.1b",
        "registry.ollama.ai/library/TinyLlama:1.1B",
        "gpt",
        "auto",
        "AUTO",
        "",
    ],
)
def test_id_engine_name_and_alias_mean_the_model(name: str) -> None:
    found = Names(config(("tiny", "tinyllama:1.1b", ["GPT"]), ("phi", "phi3", []), default="tiny")).resolve(name)
    assert not isinstance(found, Unknown)
    assert found.id == "tiny"


@pytest.mark.parametrize(
    "name", ["tinyllama", "tinyllama:latest", "tiny:1.1b", "other/tinyllama:1.1b", "tiny\n", " tiny", "x" * 100_000]
)
def test_other_names_are_unknown(name: str) -> None:
    found = Names(config(("tiny", "tinyllama:1.1b", ["GPT"]))).resolve(name)
    assert isinstance(found, Unknown)
    assert found.status == 404
    assert len(found.message) < 300


def test_near_names_are_offered() -> None:
    found = Names(config(("phi-3-mini", "phi3", []), ("tiny", "t", ["tinyllama"]))).resolve("phi-3-mni")
    assert isinstance(found, Unknown)
    assert found.message.endswith("did you mean phi-3-mini?")


@pytest.mark.parametrize("letters", ["t", "ab", "model-"])
def test_an_unknown_name_costs_little_among_many_long_ones(letters: str) -> None:
    names = Names(config(*((f"{letters * 60}"[:60] + f"-{number}", f"e{number}", []) for number in range(300))))
    began = time.thread_time()
    assert isinstance(names.resolve(letters * 1000), Unknown)
    assert time.thread_time() - began < TURN_SECONDS


def test_near_names_are_offered_among_many() -> None:
    names = Names(config(*((f"model-{number}-instruct", f"e{number}", []) for number in range(200))))
    found = names.resolve("model-199-instuct")
    assert isinstance(found, Unknown)
    assert "model-199-instruct" in found.message


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ([("a", "x", []), ("b", "X:latest", [])], "stands for both 'a' and 'b'"),
        ([("a", "x", ["b"]), ("b", "y", [])], "stands for both 'a' and 'b'"),
        ([("a", "x", []), ("a", "y", [])], "'a' is listed twice"),
        ([("auto", "x", [])], "'auto' cannot be the name of a model"),
        ([("a", "gpt-oss:120b-cloud", [])], "is answered by ollama.com"),
    ],
)
def test_ambiguous_names_are_refused_when_the_file_is_read(models: list[tuple[str, str, list[str]]], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        config(*models)
