"""The gateway beside no gateway: the same load straight to an engine that costs nothing, and through the sidecar.

The gateway has core 0 for itself; engine and load share core 1. Latencies come from blocks that take turns, so that a
disturbance of the machine meets both; "added" is the difference of the two quantiles.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from . import load
from .processes import cpu_seconds, resident_mb, started
from .upstream import CHUNKS

BLOCKS, PER_BLOCK = 20, 100
SMALL, LARGE = 540, 100_000
"""Bytes of a usual request, and of one with a long document in it."""
RULES = 100
STREAMS = 50
LOAD_SECONDS = 5.0


def measure() -> dict[str, float]:
    """All figures, by the names they have in docs/benchmarks.json."""
    os.sched_setaffinity(0, {1})
    with started(1, "bench.upstream") as (_, port), tempfile.TemporaryDirectory() as folder:
        direct = int(port)
        began = time.perf_counter()
        config = _config(Path(folder), direct)
        with started(0, "larder_sidecar", "gateway", "--config", str(config)) as (pid, first):
            figures = {"gateway.start_s": time.perf_counter() - began}
            through = int(json.loads(first)["port"])
            figures["gateway.rss_idle_mb"] = resident_mb(pid)
            figures |= _latencies(direct, through)
            wire = load.request(load.chat(SMALL))
            answers, seconds = asyncio.run(load.crowd(through, wire, connections=32, seconds=LOAD_SECONDS))
            figures["gateway.rps_per_core"] = answers / seconds
            figures["gateway.cpu_us_per_chunk"] = _cpu_of_streams(through, pid)
            figures["gateway.rss_after_mb"] = resident_mb(pid)
    return figures


def _config(folder: Path, port: int) -> Path:
    path = folder / "gateway.json"
    path.write_text(
        json.dumps(
            {
                "listen": "127.0.0.1:0",
                "admin": "127.0.0.1:0",
                "engines": [{"kind": "ollama", "url": f"http://127.0.0.1:{port}"}],
                "models": [{"id": "small", "engine-name": "small:latest"}],
                "routing": {"default": "small", "rules": _rules()},
            }
        )
    )
    return path


def _rules() -> list[dict[str, str]]:
    """None of them holds, so that all of them are asked."""
    words = ("write", "implement", "refactor", "translate", "summarize")
    return [
        {"pattern": f"(?i)({word}|explain).*(code|class|text) {number}", "model": "small"}
        for number in range(RULES // len(words))
        for word in words
    ]


def _latencies(direct: int, through: int) -> dict[str, float]:
    small = _turns(direct, through, load.request(load.chat(SMALL)), PER_BLOCK)
    large = _turns(direct, through, load.request(load.chat(LARGE)), PER_BLOCK // 4)
    routed = _turns(direct, through, load.request(load.chat(LARGE, model="auto")), PER_BLOCK // 4)
    # A stream takes seconds: few, and only their first byte counts.
    stream = _turns(direct, through, load.request(load.chat(SMALL, stream=True)), 2)
    return {
        "gateway.added_p50_ms": _added(small, 1, 50),
        "gateway.added_p99_ms": _added(small, 1, 99),
        "gateway.body_100kb_p50_ms": _added(large, 1, 50),
        "gateway.routing_100_rules_100kb_ms": _added(routed, 1, 50) - _added(large, 1, 50),
        "gateway.ttfb_p50_ms": _added(stream, 0, 50),
    }


def _turns(direct: int, through: int, wire: bytes, count: int) -> tuple[list[tuple[float, float]], ...]:
    """(first byte, whole) of each answer: those of the engine alone, and those through the gateway."""
    with load.line(direct) as near, load.line(through) as far:
        for warm in (near, far):
            warm.ask(wire)
        taken: tuple[list[tuple[float, float]], ...] = ([], [])
        for _ in range(BLOCKS):
            for one, times in zip((near, far), taken, strict=True):
                times += [one.ask(wire) for _ in range(count)]
    return taken


def _added(taken: tuple[list[tuple[float, float]], ...], which: int, percent: int) -> float:
    alone, through = (statistics.quantiles([t[which] for t in times], n=100)[percent - 1] for times in taken)
    return (through - alone) * 1000


def _cpu_of_streams(port: int, pid: int) -> float:
    """Microseconds of the gateway's core for one event of a stream, `STREAMS` of them at a time."""
    wire = load.request(load.chat(SMALL, stream=True))
    before = cpu_seconds(pid)
    answers, _ = asyncio.run(load.crowd(port, wire, connections=STREAMS, seconds=LOAD_SECONDS))
    return (cpu_seconds(pid) - before) * 1e6 / (answers * CHUNKS)
