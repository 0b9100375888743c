"""`larder-sidecar fetch` compared with usual tools, from one server on loopback to a disk of the same machine.

`ratio_to_curl` is its speed in that of `curl | tee FILE | openssl dgst -sha256`, `ratio_to_hub` in that of
huggingface_hub (newest, Xet off, a process of its own) and a pass of hashlib over the file. All start without the
file and end with it verified and synced to the disk: curl's and the hub's by `sync FILE`, which neither does by itself;
`hub_unsynced_s` is the hub's time without. Medians of interleaved rounds; a process's start counts in all three.
`rss_mb` is the peak of the whole process (10^6 bytes).
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from larder_sidecar.config.weights import ModelWeights, WeightsFile, WeightsPlan

from testbed.hub.repository import Published, Repositories
from testbed.hub.tiny_model import tiny_model

from .processes import ROOT, free_port, process

GIB = 2**30
SIZES = (1, 4)
"""Size of the file in GiB."""
ROUNDS = {1: 5, 4: 3}
_HUB = """
import hashlib, pathlib, sys
from huggingface_hub import hf_hub_download
path = pathlib.Path(hf_hub_download(*sys.argv[1:3], endpoint=sys.argv[3], cache_dir=sys.argv[4], token=False))
digest = hashlib.sha256()
with path.open("rb") as file:
    while chunk := file.read(4 << 20):
        digest.update(chunk)
assert digest.hexdigest() == sys.argv[5]
"""


def measure() -> dict[str, float]:
    """Return all figures, by their names in docs/benchmarks.json."""
    figures: dict[str, float] = {}
    peak = 0.0
    with tempfile.TemporaryDirectory(dir=ROOT / ".larder") as name:
        folder = Path(name)
        for size in SIZES:
            made = Repositories(folder / "hub").publish("bench/model", "model.gguf", _content(size))
            with _server(folder) as base:
                seconds, rss = _rounds(folder, base, made, ROUNDS[size])
            peak = max(peak, rss)
            for who, took in seconds.items():
                figures[f"fetch.{who}_s_{size}gib"] = took
            shutil.rmtree(folder / "hub")
    largest = f"{SIZES[-1]}gib"
    for peer in ("curl", "hub"):
        figures[f"fetch.ratio_to_{peer}"] = figures[f"fetch.{peer}_s_{largest}"] / figures[f"fetch.larder_s_{largest}"]
        for size in SIZES[:-1]:
            ratio = figures[f"fetch.{peer}_s_{size}gib"] / figures[f"fetch.larder_s_{size}gib"]
            figures[f"fetch.ratio_to_{peer}_{size}gib"] = ratio
    return figures | {"fetch.rss_mb": peak}


def _content(size: int) -> Iterator[bytes]:
    """Write a model that fetch accepts, stretched with repetitions of one random mebibyte."""
    first = b"".join(tiny_model())
    yield first
    block, left = os.urandom(1 << 20), size * GIB - len(first)
    while left > 0:
        yield block[:left]
        left -= len(block)


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "testbed.hub", "serve", "--root", str(folder / "hub"), "--listen", address]
    with process(None, command, dict(os.environ), folder=folder, port=port):
        yield f"http://{address}"


def _rounds(folder: Path, base: str, made: Published, rounds: int) -> tuple[dict[str, float], float]:
    """Return the median seconds of each tool, and the peak memory of fetch."""
    url = f"{base}/{made.repo}/resolve/{made.revision}/{made.path}"
    facts = {key: value for key, value in vars(made).items() if key != "repo"}
    file = WeightsFile.model_validate({**facts, "url": url})
    model = ModelWeights(id="model", served_names=["model"], format="gguf", files=[file])
    (folder / "weights.json").write_text(WeightsPlan(models=[model]).to_json())
    peaks: list[float] = []
    unsynced: list[float] = []

    def larder(place: Path) -> None:
        command = [sys.executable, "-m", "larder_sidecar", "fetch", "--config", str(folder / "weights.json")]
        with subprocess.Popen([*command, "--root", str(place)], stdout=subprocess.PIPE) as run:
            out = run.stdout.read() if run.stdout else b""
            _, run.returncode, used = os.wait4(run.pid, 0)
        if run.returncode or json.loads(out.splitlines()[-1])["fetched_bytes"] != made.bytes:
            raise RuntimeError(out.decode())
        peaks.append(used.ru_maxrss * 1024 / 1e6)

    def curl(place: Path) -> None:
        script = 'curl -sS "$1" | tee "$2" | openssl dgst -sha256 && sync "$2"'
        done = subprocess.run(
            ["sh", "-c", script, "sh", url, str(place / "file")], check=True, capture_output=True, text=True
        ).stdout
        if made.sha256 not in done:
            raise RuntimeError(done)

    def hub(place: Path) -> None:
        environment = os.environ | {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        asked = [made.repo, made.path, base, str(place), made.sha256]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", _HUB, *asked], check=True, env=environment, capture_output=True)
        unsynced.append(time.perf_counter() - began)
        blob = next(path for path in place.rglob("blobs/*") if path.is_file())
        subprocess.run(["sync", str(blob)], check=True)

    ways: dict[str, Callable[[Path], None]] = {"larder": larder, "curl": curl, "hub": hub}
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            took[name].append(_timed(way, folder / "place"))
    took["hub_unsynced"] = unsynced
    return {name: statistics.median(seconds) for name, seconds in took.items()}, max(peaks)


def _timed(way: Callable[[Path], None], place: Path) -> float:
    """Return the seconds of one run into an empty folder, after all earlier writes are on disk."""
    place.mkdir()
    os.sync()
    began = time.perf_counter()
    way(place)
    seconds = time.perf_counter() - began
    shutil.rmtree(place)
    return seconds
