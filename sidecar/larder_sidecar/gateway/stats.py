"""`GET /api/llm/stats`: loaded models, waiting requests, and the rate of requests whose model was loaded."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..http.answer import Answer, document
from ..residency.policy import NEVER, Phase
from ..residency.scheduler import Scheduler
from ..residency.slot import ModelSlot
from .upstreams import Upstreams

MERGED_FIELDS = frozenset(
    ("cache_strategy", "loaded_models", "avg_swap_time_ms", "cache_hits", "cache_misses", "swaps")
)
MERGED_FIELDS |= {"swap_times_ms", "waiting", "models"}
"""Fields taken from the stats of a gateway behind a front."""


async def collect_stats(upstreams: Upstreams, rules_hit: Mapping[str, int]) -> Answer:
    """Return the stats of the engine whose residency is managed here, or of all engines behind a front that answer."""
    found = next((engine_stats(upstream.residency) for upstream in upstreams if upstream.residency), None)
    if found is None:
        asked = {name: gateway for upstream in upstreams for name, gateway in upstream.gateways().items()}
        answers = await asyncio.gather(*(gateway.stats() for gateway in asked.values()))
        found = merge_stats(
            {name: one for name, one in zip(asked, answers, strict=True) if one and one.keys() >= MERGED_FIELDS}
        )
    return document({**found, "rules_hit": rules_hit})


def merge_stats(engines: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the combined stats of several engines: sums and weighted means first, then each engine."""
    hits, misses = (sum(int(one[word]) for one in engines.values()) for word in ("cache_hits", "cache_misses"))
    loads = sum(sum(one["swaps"].values()) for one in engines.values())
    spent = sum((one["avg_swap_time_ms"] or 0) * sum(one["swaps"].values()) for one in engines.values())
    return {
        # Without residency the engine loads and unloads as it sees fit.
        "cache_strategy": " and ".join(sorted({one["cache_strategy"] for one in engines.values()})) or "engine",
        "loaded_models": [*dict.fromkeys(model for one in engines.values() for model in one["loaded_models"])],
        "cache_hit_rate": _round(hits / (hits + misses)) if hits + misses else None,
        "avg_swap_time_ms": round(spent / loads, 1) if loads else None,
        "cache_hits": hits,
        "cache_misses": misses,
        "swaps": sum((Counter(one["swaps"]) for one in engines.values()), Counter()),
        "swap_times_ms": {model: spent for one in engines.values() for model, spent in one["swap_times_ms"].items()},
        "waiting": sum(int(one["waiting"]) for one in engines.values()),
        "models": [{**model, "engine": name} for name, one in engines.items() for model in one["models"]],
        "engines": engines,
    }


def engine_stats(residency: Scheduler) -> dict[str, Any]:
    """Return the stats of one engine, the four original fields first; units as in their names, sizes in bytes."""
    figures, config, slots = residency.figures, residency.config, residency.slots()
    mean = figures.mean_load()
    return {
        "cache_strategy": config.strategy,
        "loaded_models": [slot.name for slot in slots if slot.phase is Phase.LOADED],
        "cache_hit_rate": _round(figures.hit_rate()),
        "avg_swap_time_ms": None if mean is None else round(mean * 1000, 1),
        "cache_hits": figures.hits,
        "cache_misses": figures.misses,
        "swaps": {model: loads.count for model, loads in figures.loads.items()},
        "swap_times_ms": {model: round(loads.mean * 1000, 1) for model, loads in figures.loads.items() if loads.mean},
        "failed_loads": dict(figures.failures),
        "evictions": dict(figures.evictions),
        "waiting": residency.waiting,
        "max_models": config.max_models,
        "models": [_model(slot, residency.now()) for slot in slots],
    }


def _model(slot: ModelSlot, now: float) -> dict[str, Any]:
    idle = slot.phase is Phase.LOADED and not slot.busy and not slot.pinned and slot.keep_alive < NEVER
    oldest = next(iter(slot.waiting.values()), None)
    return {
        "model": slot.name,
        "phase": slot.phase.name.lower(),
        "pinned": slot.pinned,
        "keep_alive_s": slot.keep_alive if slot.keep_alive < NEVER else None,
        "in_flight": slot.busy,
        "waiting": len(slot.waiting),
        "waiting_s": None if oldest is None else round(now - oldest, 3),
        "expires_in_s": round(max(0.0, slot.used + slot.keep_alive - now), 1) if idle else None,
        "loaded_at": round(time.time() - (now - slot.loaded)) if slot.phase is Phase.LOADED else None,
        "bytes": slot.size or None,
    }


def _round(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 4)
