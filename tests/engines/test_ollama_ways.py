"""Stores that were not fetched into: links to mounted images, read without mapping, as on a share."""

import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from larder_sidecar.config.weights import ModelWeights, WeightsFile, WeightsPlan
from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.store.assemble import link
from larder_sidecar.weights.store.image_index import INDEX, MODELS, Contents, ImageFile

from components.serving.llama_server import NO_MMAP
from testbed.hub.repository import Repositories
from testbed.hub.tiny_model import tiny_model
from tests.engines.ollama_process import Ollama, find
from tests.engines.test_ollama_store import CHAT, ENTRY, seal, unseal


@pytest.fixture(scope="module")
def ollama() -> Iterator[Ollama]:
    binary = find()
    if binary is None:
        reason = "no Ollama: set LARDER_OLLAMA, or build the toolchain with `make up`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="larder-ollama-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        store = linked(folder)
        seal(store)
        try:
            with Ollama(binary, store, folder, **NO_MMAP) as server:
                yield server
        finally:
            unseal(store)


def linked(folder: Path) -> Path:
    """A store of links to what a pod sees of an image."""
    it = Repositories(folder / "hub").publish("larder/tiny-GGUF", "tiny.gguf", tiny_model())
    image = folder / "images" / ENTRY.id
    (image / MODELS).mkdir(parents=True)
    (folder / "hub" / it.repo / it.revision / it.path).rename(image / MODELS / it.path)
    held = ImageFile(bytes=it.bytes, sha256=it.sha256)
    (image / INDEX).write_text(Contents(model=ENTRY.id, files={it.path: held}).to_json())
    facts = {key: value for key, value in vars(it).items() if key != "repo"}
    file = WeightsFile.model_validate(facts | {"url": "http://hub.test/file"})
    model = ModelWeights(id=ENTRY.id, served_names=[ENTRY.id], format="gguf", files=[file], ollama=ENTRY.ollama)
    link(WeightsPlan(models=[model]), folder / "store", image.parent, Reporter(io.StringIO()))
    return folder / "store"


def test_links_are_served_as_files_are(ollama: Ollama) -> None:
    assert {model["name"] for model in ollama.get("/api/tags")["models"]} == {f"{ENTRY.id}:latest"}
    answer = json.loads(ollama.post("/v1/chat/completions", CHAT))
    assert answer["choices"][0]["message"]["content"].strip(), ollama.log()


def test_nothing_is_mapped_where_the_strategy_says_so(ollama: Ollama) -> None:
    """The variables are llama.cpp's: Ollama knows nothing of them and hands them on."""
    ollama.post("/api/generate", {"model": ENTRY.id, "prompt": "hi", "options": {"use_mmap": True}})
    assert not ollama.maps_weights()
