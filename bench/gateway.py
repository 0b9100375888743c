"""The gateway compared with no gateway and with its peers: the same load directly to an engine and through each.

The measured process has core 0 for itself; engine and load share core 1. Latencies come from blocks that take turns, so
that a disturbance of the machine meets all; "added" is the difference of two quantiles, with somebody between and with
nobody. Throughput and CPU are medians of rounds in turns. Every feature of the gateway is on: a hundred rules,
residency, a line of log for each request; it runs by the interpreter that its image has. nginx passes everything on
without looking into it, and is the floor. Peers are measured in the same run, where they are installed.
"""

import asyncio
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from larder_sidecar.config.gateway import GatewayConfig

from . import load, peers
from .peers import Target
from .processes import cpu_seconds, resident_mb, started
from .turns import worst_ms
from .upstream import CHUNKS

BLOCKS, PER_BLOCK = 20, 100
SMALL, LARGE, HUGE = 540, 100_000, 4_000_000
"""Bytes of a usual request, of one with a long document, and of one with pictures."""
RULES = 100
STREAMS = 50
ROUNDS = 5
"""Blocks of load on each target, in turns. The figure is their median, because the speed of the machine varies."""
ROUND_SECONDS = 2.0
MANY = 1_000_000
"""Requests after which the gateway's memory is measured again."""


def measure() -> dict[str, float]:
    """Return all figures, by their names in docs/benchmarks.json."""
    os.sched_setaffinity(0, {1})
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _, port = stack.enter_context(started(1, "bench.upstream"))
        direct = Target("direct", int(port))
        config = config_of(folder, direct.port)
        with started(0, "larder_sidecar", "gateway", "--config", str(config)):
            pass  # so that it is compiled, as it is in an image
        began = time.perf_counter()
        pid, first = stack.enter_context(started(0, "larder_sidecar", "gateway", "--config", str(config)))
        figures = {"gateway.start_s": time.perf_counter() - began}
        ours = Target("gateway", int(json.loads(first)["port"]), pid, chooses=True)
        figures["gateway.rss_idle_mb"] = resident_mb(pid)
        found = peers.here()
        others = [stack.enter_context(peers.running(peer, program, direct.port, folder)) for peer, program in found]
        for other in others:
            figures[f"peer.{other.name}.rss_idle_mb"] = resident_mb(other.pid)
        figures |= _latencies([direct, ours, *others])
        figures |= _under_load([ours, *others])
        rest = MANY / figures["gateway.rps_per_core"] - ROUNDS * ROUND_SECONDS
        asyncio.run(load.crowd(ours.port, load.request(load.chat(SMALL)), connections=32, seconds=rest))
        figures["gateway.rss_after_mb"] = resident_mb(pid)
        figures["gateway.worst_turn_ms"] = worst_ms(GatewayConfig.from_json(config.read_bytes()))
        print(f"  beside {', '.join(peer.told_version(program) for peer, program in found) or 'no peer'}")
    return figures


def _name(target: Target, figure: str) -> str:
    return f"gateway.{figure}" if target.name == "gateway" else f"peer.{target.name}.{figure}"


def _under_load(targets: Sequence[Target]) -> dict[str, float]:
    taken: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for target in targets:
            for figure, value in (("rps_per_core", _throughput(target)), ("cpu_us_per_chunk", _cpu_of_streams(target))):
                taken.setdefault(_name(target, figure), []).append(value)
    figures = {name: statistics.median(values) for name, values in taken.items()}
    # Of a peer, after what it did in these rounds.
    return figures | {_name(target, "rss_after_mb"): resident_mb(target.pid) for target in targets}


def _throughput(target: Target) -> float:
    """Return the answers per second to 32 connections that ask continuously."""
    wire = load.request(load.chat(SMALL, model=target.model), target.path)
    answers, seconds = asyncio.run(load.crowd(target.port, wire, connections=32, seconds=ROUND_SECONDS))
    return answers / seconds


def config_of(folder: Path, port: int) -> Path:
    """Return a configuration with every feature on, before the engine at that port."""
    path = folder / "gateway.json"
    path.write_text(
        json.dumps(
            {
                "listen": "127.0.0.1:0",
                "admin": "127.0.0.1:0",
                "engines": [{"kind": "ollama", "url": f"http://127.0.0.1:{port}"}],
                "models": [{"id": "small", "engine-name": "small:latest"}],
                "routing": {"default": "small", "rules": _rules()},
                "residency": {},
            }
        )
    )
    return path


def _rules() -> list[dict[str, str]]:
    """Return rules that never match, so that the gateway evaluates all of them."""
    words = ("write", "implement", "refactor", "translate", "summarize")
    return [
        {"pattern": f"(?i)({word}|explain).*(code|class|text) {number}", "model": "small"}
        for number in range(RULES // len(words))
        for word in words
    ]


def _latencies(targets: Sequence[Target]) -> dict[str, float]:
    small = _turns(targets, SMALL, PER_BLOCK)
    large = _turns(targets, LARGE, PER_BLOCK // 4)
    own = [target for target in targets if target.chooses or target.name == "direct"]
    # Not through peers: some of them close the connection on a body of that size.
    huge = _turns(own, HUGE, 3)
    # A stream takes seconds: few, and only their first byte counts.
    stream = _turns(targets, SMALL, 2, stream=True)
    figures = {}
    for target in targets[1:]:
        for figure, taken, which, percent in (
            ("added_p50_ms", small, 1, 50),
            ("added_p99_ms", small, 1, 99),
            ("body_100kb_p50_ms", large, 1, 50),
            ("body_4mb_p50_ms", huge, 1, 50),
            ("ttfb_p50_ms", stream, 0, 50),
        ):
            if target.name in taken:
                figures[_name(target, figure)] = _added(taken, target, which, percent)
    routed = _turns(own, LARGE, PER_BLOCK // 4, model="auto")
    ours = own[-1]
    figures["gateway.routing_100_rules_100kb_ms"] = _added(routed, ours, 1, 50) - _added(large, ours, 1, 50)
    return figures


Taken = dict[str, list[tuple[float, float]]]
"""(seconds to the first byte, to the whole answer) of each answer, by target."""


def _turns(
    targets: Sequence[Target], size: int, count: int, *, stream: bool = False, model: str | None = None
) -> Taken:
    """Send `BLOCKS` blocks of `count` requests of `size` bytes to each target, in turns."""
    taken: Taken = {target.name: [] for target in targets}
    with contextlib.ExitStack() as stack:
        lines = {target.name: stack.enter_context(load.line(target.port)) for target in targets}
        wires = {
            target.name: load.request(load.chat(size, stream=stream, model=model or target.model), target.path)
            for target in targets
        }
        for name, one in lines.items():
            one.ask(wires[name])
        for _ in range(BLOCKS):
            for name, one in lines.items():
                taken[name] += [one.ask(wires[name]) for _ in range(count)]
    return taken


def _added(taken: Taken, target: Target, which: int, percent: int) -> float:
    alone, through = (
        statistics.quantiles([times[which] for times in taken[name]], n=100)[percent - 1]
        for name in ("direct", target.name)
    )
    return (through - alone) * 1000


def _cpu_of_streams(target: Target) -> float:
    """Return the CPU microseconds for one event of a stream, with `STREAMS` streams at a time."""
    wire = load.request(load.chat(SMALL, stream=True, model=target.model), target.path)
    before = cpu_seconds(target.pid)
    answers, _ = asyncio.run(load.crowd(target.port, wire, connections=STREAMS, seconds=ROUND_SECONDS))
    return (cpu_seconds(target.pid) - before) * 1e6 / (answers * CHUNKS)
