"""A store that fetch made is one that Ollama serves: the format is held against the engine, not against ourselves."""

import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from larder_sidecar.catalog import load_catalog
from larder_sidecar.config.weights import ModelWeights, WeightsFile, WeightsPlan
from larder_sidecar.weights.download.fetch import Fetch
from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.sources.hub import Hub

from testbed.hub.__main__ import FILE, REPO
from testbed.hub.repository import Repositories
from testbed.hub.server import Hub as LocalHub
from testbed.hub.tiny_model import tiny_model
from tests.engines.ollama_process import Ollama, find
from tests.engines.process import lacking

ENTRY = load_catalog(Path(__file__).parents[2] / "catalog" / "models")["tiny-random"]
CHAT = {"model": ENTRY.id, "messages": [{"role": "user", "content": "What is on the shelf?"}], "seed": 7}


@pytest.fixture(scope="module")
def ollama() -> Iterator[Ollama]:
    binary = find()
    if binary is None:
        lacking("no Ollama: set LARDER_OLLAMA, or build the toolchain with `make up`")
        return
    # Not under pytest's folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="larder-ollama-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        store = fill(folder, ENTRY.id, "other:v1")
        seal(store)
        try:
            with Ollama(binary, store, folder) as server:
                yield server
        finally:
            unseal(store)


def fill(folder: Path, *names: str, seed: int = 0) -> Path:
    """A store with a tiny model under `names`, by way of a local hub and the fetch role."""
    made = Repositories(folder / "hub").publish(REPO, FILE, tiny_model(seed))
    with LocalHub(folder / "hub") as local, Hub() as hub:
        file = WeightsFile.model_validate(
            {k: v for k, v in vars(made).items() if k != "repo"}
            | {"url": f"{local.url}/{REPO}/resolve/{made.revision}/{FILE}"}
        )
        model = ModelWeights(id=names[0], served_names=[*names], format="gguf", files=[file], ollama=ENTRY.ollama)
        Fetch(WeightsPlan(models=[model]), folder / "store", hub, Reporter(io.StringIO())).run()
    return folder / "store"


def seal(store: Path) -> None:
    for path in (store, *store.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)


def unseal(store: Path) -> None:
    for path in (store, *store.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)


def test_it_lists_every_served_name(ollama: Ollama) -> None:
    listed = {model["name"]: model for model in ollama.get("/api/tags")["models"]}
    assert set(listed) == {"tiny-random:latest", "other:v1"}
    details = listed["tiny-random:latest"]["details"]
    assert (details["format"], details["family"], details["quantization_level"]) == ("gguf", "llama", "F32")
    assert {model["id"] for model in ollama.get("/v1/models")["data"]} == set(listed)


def test_it_shows_the_recipe(ollama: Ollama) -> None:
    shown = json.loads(ollama.post("/api/show", {"model": ENTRY.id}))
    assert shown["template"] == ENTRY.ollama.template
    assert all(name in shown["parameters"] for name in ENTRY.ollama.params)
    assert "completion" in shown["capabilities"]


def test_it_answers(ollama: Ollama) -> None:
    answer = json.loads(ollama.post("/v1/chat/completions", CHAT))
    assert answer["choices"][0]["message"]["content"].strip(), ollama.log()
    assert answer["choices"][0]["finish_reason"] in {"stop", "length"}
    # The template wraps the question: more tokens than the question's own 21 characters can be.
    assert answer["usage"]["prompt_tokens"] > 21


def test_weights_are_mapped_where_ollama_would_map_them(ollama: Ollama) -> None:
    """On a CPU it does not by itself (0.32); it does with a GPU, and when it is asked."""
    ollama.post("/api/generate", {"model": ENTRY.id, "prompt": "hi", "options": {"use_mmap": True}})
    assert ollama.maps_weights()


def test_it_streams(ollama: Ollama) -> None:
    body = ollama.post("/v1/chat/completions", CHAT | {"stream": True, "max_tokens": 12})
    events = [line.removeprefix("data: ") for line in body.splitlines() if line]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks).strip()
    assert len(chunks) > 2


def test_a_seed_makes_it_answer_the_same(ollama: Ollama) -> None:
    first, second = (json.loads(ollama.post("/v1/chat/completions", CHAT)) for _ in range(2))
    assert first["choices"] == second["choices"]


def test_it_sees_what_is_fetched_while_it_runs(ollama: Ollama) -> None:
    """A populate Job may add models under a running engine."""
    unseal(ollama.store)
    fill(ollama.store.parent, "later", seed=1)
    seal(ollama.store)
    assert "later:latest" in {model["name"] for model in ollama.get("/api/tags")["models"]}
    answer = json.loads(ollama.post("/v1/chat/completions", CHAT | {"model": "later"}))
    assert answer["choices"][0]["message"]["content"].strip()
