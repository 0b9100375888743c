"""Each residency before a real Ollama: three models of half a gigabyte, asked in turn, their weights in the page cache.

`swap_s` is the median time to the answer of a request for another model than the last one; `memory_mb` what the engine
and its runners hold together a second after an answer (PSS, 10^6 bytes). Random weights, two cores, no GPU: what
differs between the strategies is the point, not the seconds.
"""

import http.client
import io
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import get_args

from larder_sidecar.config.residency import Strategy
from larder_sidecar.config.weights import ModelWeights, OllamaRecipe, WeightsFile, WeightsPlan
from larder_sidecar.weights.download.fetch import Fetch
from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.sources.hub import Hub

from dev.toolchain import tools
from testbed.hub.repository import Repositories
from testbed.hub.server import Hub as LocalHub
from testbed.hub.tiny_model import Shape, tiny_model

from .processes import free_port, process, started, tree

MODELS = ("one", "two", "three")
SHAPE = Shape(embedding=1024, feed_forward=4096, heads=16, blocks=8)
ROUNDS = 4
SETTLE_SECONDS = 1.0
ANSWER_WITHIN = 120.0


def measure() -> dict[str, float]:
    """Return all figures, by their names in docs/benchmarks.json. Build Ollama if it is missing."""
    home = tools.OLLAMA.ensure()
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = _store(folder)
        for strategy in get_args(Strategy):
            with _ollama(home, store, folder / strategy) as (pid, engine), ExitStack() as stack:
                config = _config(folder, engine, strategy)
                command = ("larder_sidecar", "gateway", "--config", str(config))
                _, first = stack.enter_context(started(None, *command))
                port = int(json.loads(first)["port"])
                for model in MODELS:
                    _ask(port, model)
                swaps = [_ask(port, model) for _ in range(ROUNDS) for model in MODELS]
                time.sleep(SETTLE_SECONDS)
                figures[f"residency.{strategy}.swap_s"] = statistics.median(swaps)
                figures[f"residency.{strategy}.memory_mb"] = sum(map(_proportional_mb, tree(pid)))
    return figures


def _store(folder: Path) -> Path:
    repositories = Repositories(folder / "hub")
    models = []
    with LocalHub(folder / "hub") as local, Hub() as hub:
        for seed, model in enumerate(MODELS):
            made = repositories.publish(f"bench/{model}", f"{model}.gguf", tiny_model(seed, shape=SHAPE))
            facts = {key: value for key, value in vars(made).items() if key != "repo"}
            url = f"{local.url}/bench/{model}/resolve/{made.revision}/{model}.gguf"
            file = WeightsFile.model_validate({**facts, "url": url})
            recipe = OllamaRecipe(template="{{ .Prompt }}", params={"num_ctx": 512})
            models.append(ModelWeights(id=model, served_names=[model], format="gguf", files=[file], ollama=recipe))
        Fetch(WeightsPlan(models=models), folder / "store", hub, Reporter(io.StringIO())).run()
    shutil.rmtree(folder / "hub")
    return folder / "store"


@contextmanager
def _ollama(home: Path, store: Path, folder: Path) -> Iterator[tuple[int, int]]:
    folder.mkdir()
    port = free_port()
    env = os.environ | {
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(store),
        "OLLAMA_NOPRUNE": "1",
        "OLLAMA_NO_CLOUD": "1",
        "OLLAMA_MAX_LOADED_MODELS": str(len(MODELS)),
        "HOME": str(folder),
    }
    with process(None, [str(home / "bin/ollama"), "serve"], env, folder=folder, port=port) as pid:
        yield pid, port


def _config(folder: Path, engine: int, strategy: str) -> Path:
    path = folder / f"{strategy}.json"
    config = {
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "engines": [{"kind": "ollama", "url": f"http://127.0.0.1:{engine}"}],
        "models": [{"id": model, "engine-name": model} for model in MODELS],
        # Without a pause between two models: what is measured is the moving itself.
        "residency": {"strategy": strategy, "min-residency": 0},
    }
    path.write_text(json.dumps(config))
    return path


def _ask(port: int, model: str) -> float:
    """Return the seconds until the answer of one word is whole."""
    body = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    told = answer.read()
    connection.close()
    if answer.status != 200:
        msg = f"{model}: {answer.status} {told[:300].decode(errors='replace')}"
        raise RuntimeError(msg)
    return time.perf_counter() - began


def _proportional_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (kilobytes,) = (int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes * 1024 / 1e6
