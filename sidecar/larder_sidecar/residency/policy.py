"""The residency policy: a pure function from the state of all models to the next loads and unloads.

It promises for any state: a busy or pinned model is never unloaded; no load makes more than `max_models` models
present; the least recently used model is evicted first; no request waits without an end. docs/residency.md explains
the states, and tests/sidecar/residency/ checks the promises.
"""

import enum
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from ..config.residency import Eviction

Reason = Literal["expired", "room", "asked"]
"""The cause of an unload: the keep-alive has passed; another model needs the room; an operator or a client asked."""
NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits from the settings. Times in seconds, memory in bytes."""

    max_models: int
    eviction: Eviction
    """`lru` evicts the least recently used models if there is no room; `immediate` evicts all idle models as soon as
    another one is requested."""
    min_residency: float | None
    """Time after a load during which the model keeps its place. None: as long as its load took, so that loads take at
    most half of the time."""
    max_wait: float
    """Longest wait of a request behind other models: after it, the model in the way takes no new requests, whatever
    `min_residency` says."""
    memory: int | None = None
    """Limit for all loaded models together, by their last known sizes. None: no limit."""


class Phase(enum.Enum):
    """The state of a model in the engine."""

    COLD = enum.auto()
    LOADING = enum.auto()
    LOADED = enum.auto()
    UNLOADING = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """A snapshot of one model. Points in time are on the clock of `now`, in seconds."""

    name: str
    phase: Phase
    busy: int = 0
    """Number of requests that the engine is answering."""
    wanted_since: float = NEVER
    """Arrival of the oldest request that waits for it. A future value delays the load (retry after a failure)."""
    last_used: float = 0.0
    """End of its last request. A future value blocks eviction until then (retry after a failed unload)."""
    loaded_at: float = 0.0
    """End of its load."""
    load_seconds: float = 0.0
    """Duration of its load."""
    keep_alive: float = NEVER
    """Time it stays loaded while idle."""
    pinned: bool = False
    unload_requested: bool = False
    """An operator or a client asked for its unload."""
    size: int = 0
    """Bytes in the engine's memory, 0 if unknown."""

    @property
    def idle(self) -> bool:
        """Loaded without a running request."""
        return self.phase is Phase.LOADED and not self.busy


@dataclass(frozen=True, slots=True)
class Decision:
    """The next loads and unloads, and the time of the next decision if no event comes before."""

    unload: dict[str, Reason] = field(default_factory=dict)
    load: str | None = None
    closed: frozenset[str] = frozenset()
    """Loaded models that take no new requests: they are evicted as soon as they are idle."""
    wake: float = NEVER


def decide(rules: Rules, models: Collection[ModelState], now: float) -> Decision:
    """Decide what to load, to unload and to close now."""
    unload = {model.name: reason for model in models if (reason := _unload_reason(model, now))}
    closed = {model.name for model in models if model.unload_requested and model.phase is Phase.LOADED}
    times = [model.wanted_since for model in models if model.phase is Phase.COLD and model.wanted_since > now]
    wanted = _wanted(models, now)
    present = [model for model in models if model.phase is not Phase.COLD]
    for victim in _victims(rules, [model for model in present if model.name not in unload], wanted):
        due = _due(rules, victim, wanted)
        if now < due:
            times.append(due)
        elif victim.busy:
            closed.add(victim.name)
        else:
            unload[victim.name] = "room"
    staying = (model for model in present if model.idle and not model.pinned and model.name not in unload)
    times += [model.last_used + model.keep_alive for model in staying]
    # Engines load one model at a time. The load waits until there is room.
    loading = any(model.phase is Phase.LOADING for model in present)
    load = wanted.name if wanted and not loading and _fits(rules, present, wanted) else None
    return Decision(unload, load, frozenset(closed - unload.keys()), min(times, default=NEVER))


def _unload_reason(model: ModelState, now: float) -> Reason | None:
    """Return the reason to unload a model regardless of the others, if there is one."""
    if not model.idle or now < model.last_used:
        return None
    if model.unload_requested:
        return "asked"
    return "expired" if not model.pinned and now >= model.last_used + model.keep_alive else None


def _wanted(models: Collection[ModelState], now: float) -> ModelState | None:
    """Return the cold model whose oldest request has waited the longest."""
    waiting = [model for model in models if model.phase is Phase.COLD and model.wanted_since <= now]
    return min(waiting, key=lambda model: model.wanted_since, default=None)


def _victims(rules: Rules, present: list[ModelState], wanted: ModelState | None) -> list[ModelState]:
    """Return the models to evict for `wanted`, the least recently used first."""
    staying = [model for model in present if model.phase is not Phase.UNLOADING]
    victims = []
    for model in sorted(staying, key=lambda model: (model.busy > 0, model.last_used)):
        if model.pinned or model.phase is Phase.LOADING:
            continue
        at_once = rules.eviction == "immediate" and wanted is not None and model.idle
        if at_once or not _fits(rules, staying, wanted):
            staying.remove(model)
            victims.append(model)
    return victims


def _due(rules: Rules, victim: ModelState, wanted: ModelState | None) -> float:
    """Return when a victim is evicted; a busy one is closed then."""
    if wanted is None:  # more models are present than allowed, and no request waits
        return NEVER if victim.busy else victim.last_used
    deadline = wanted.wanted_since + rules.max_wait
    minimum = victim.load_seconds if rules.min_residency is None else rules.min_residency
    return deadline if victim.busy else max(victim.last_used, min(victim.loaded_at + minimum, deadline))


def _fits(rules: Rules, present: Collection[ModelState], wanted: ModelState | None) -> bool:
    """Tell if `wanted` fits beside the models that are present."""
    if len(present) + (wanted is not None) > rules.max_models:
        return False
    others = sum(not model.pinned for model in present) + (wanted is not None)
    if rules.memory is None or others <= 1:
        return True  # nothing is left to evict: a model that exceeds the limit alone is loaded all the same
    return sum(model.size for model in present) + (wanted.size if wanted else 0) <= rules.memory
