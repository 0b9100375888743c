"""Each caching strategy on the embedded cluster, cold and warm, with synthetic weights of 1 and of 4 GiB.

The manifests are those of `make render`. Cold: the first deployment of these weights ever, nothing in the page cache;
a Job that fills a volume or proves an image is part of it. Warm: the engine is scaled to none and back to one. Each is
one start. `ready_s` is from the request for the pod until its weights are readable under their final names, by the log
of the container that brings them; `load_s` what the engine takes to load them; `first_token_s` from there to the first
word. Hub and registry share the node's disk, so cold figures are those of a very fast network; the shared volume is a
folder of the node, which mounts no NFS. Random weights in F32, two cores, no GPU. The estimates are those this project
began with, for 0.6 GB. `swap.failed_requests` is from the walk on record in swap.md.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from components.settings import strategies

from .processes import ROOT

SIZES = (1, 4)
"""Sizes of the weights, in GiB."""
STRATEGIES = tuple(name for name, strategy in strategies.STRATEGIES.items() if strategy.MOUNTED)
"""Strategies that serve Ollama: KServe's agent does not run here."""
ESTIMATES = {"none": "5 min", "prebuilt-image": "30 s", "shared-storage": "2 to 3 min"}
FIGURES = {"ready": "readable", "load": "load", "first_token": "first token"}
WIDTH = 48
"""Characters of the longest bar."""
WALK = ROOT / "docs/swap.json"
"""The walk from strategy to strategy on record, by `RECORD=1 make e2e ONLY=swap`."""
FREE_BYTES = 45 * 2**30
"""Free disk space: copies of 4 GiB on the hub, in a store, a registry, images of the node, two volumes and a pod."""


def measure() -> dict[str, float]:
    """Return all figures, by their names in docs/benchmarks.json; each size has its own cluster."""
    home = ROOT / ".larder"
    env, results = os.environ | {"LARDER_STATE": str(home / "bench")}, home / "strategies.json"
    figures: dict[str, float] = {}
    for size in SIZES:
        try:
            subprocess.run([sys.executable, "-m", "bench.strategies", f"{size}", results], env=env, check=True)
            figures |= json.loads(results.read_text())
        finally:
            subprocess.run([sys.executable, "-m", "testbed", "drop"], env=env, check=True)
    for name in STRATEGIES:
        small, large = (figures[f"strategy.{name}.warm_ready_s_{size}gib"] for size in SIZES)
        figures[f"strategy.{name}.warm_ratio_4gib_to_1gib"] = large / small
    figures["swap.failed_requests"] = sum(len(step["failed"]) for step in json.loads(WALK.read_text())["steps"])
    return figures


def rows(figures: Mapping[str, float | str]) -> list[str]:
    """Yield a table with a line for each start, and bars for the time until the weights were readable."""
    seconds = {key.removeprefix("strategy."): float(value) for key, value in figures.items() if key[:9] == "strategy."}
    starts = [
        (name, state) for name in STRATEGIES for state in ("cold", "warm") if f"{name}.{state}_ready_s_1gib" in seconds
    ]
    head = [
        "strategy",
        "start",
        *(f"{word}, {size} GiB" for word in FIGURES.values() for size in SIZES),
        "4 : 1",
        "estimate",
    ]
    table = [head, ["---", "---", *(["--:"] * (len(head) - 3)), "---"]]
    bars = []
    longest = max((seconds[f"{name}.{state}_ready_s_{SIZES[-1]}gib"] for name, state in starts), default=1)
    for name, state in starts:
        cells = [f"{seconds[f'{name}.{state}_{word}_s_{size}gib']:.2f} s" for word in FIGURES for size in SIZES]
        small, large = (seconds[f"{name}.{state}_ready_s_{size}gib"] for size in SIZES)
        table.append([name, state, *cells, f"{large / small:.2f}", ESTIMATES.get(name, "") if state == "cold" else ""])
        for size, taken in zip(SIZES, (small, large), strict=True):
            bars.append(f"{name:<15} {state} {size} GiB {'█' * max(1, round(WIDTH * taken / longest))} {taken:.2f} s")
    return [*(f"| {' | '.join(row)} |" for row in table), "", "```", *bars, "```"] if starts else []


def main(gib: int, results: Path) -> None:
    """Write the figures of one size, measured on the embedded cluster of this process' LARDER_STATE."""
    # They take LARDER_STATE when they are imported.
    from dev import embedded
    from dev.images import build
    from dev.paths import STATE
    from testbed.cluster.layout import REGISTRY_NAME

    from .deployment import Deployment, pull
    from .synthetic import Synthetic

    STATE.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(STATE).free) < FREE_BYTES:
        msg = f"{STATE}: {free >> 30} GiB are free, and this bench wants {FREE_BYTES >> 30}"
        raise RuntimeError(msg)
    cluster = embedded.start(["ollama"])
    images = build.deploy(cluster.registry, REGISTRY_NAME, ["ollama"])
    model = Synthetic(gib, cluster)
    pull(cluster, images.values())
    figures: dict[str, float] = {}
    for strategy in STRATEGIES:
        deployment = Deployment(cluster, model.manifests(strategy, images), model.entry.id)
        for state, start in (("cold", deployment.cold), ("warm", deployment.warm)):
            for figure, seconds in vars(start()).items():
                figures[f"strategy.{strategy}.{state}_{figure}_s_{gib}gib"] = seconds
                print(f"  {strategy} {state} {gib} GiB {figure} {seconds:.2f} s", flush=True)
        deployment.remove()
    results.write_text(json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
