"""Which models stay loaded: a function of what is known now, and of nothing else.

What it promises, for any state: a busy or pinned model is never unloaded; no load makes more than `max_models` be there
at once; who gives way has been unused the longest; nobody waits for ever. tests/sidecar/residency/ holds it to that.
"""

import enum
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from ..config.residency import Eviction

Reason = Literal["expired", "room", "asked"]
"""Why a model goes: nobody used it for its keep-alive; another needs its place; somebody said so."""
NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings ask for. Times in seconds, memory in bytes."""

    max_models: int
    eviction: Eviction
    """`lru`: who was used least recently goes when there is no room. `immediate`: all idle ones, as soon as another
    is wanted."""
    min_residency: float | None
    """A model that was loaded is given this long before another takes its place (None: as long as its load took, so
    that moving models never takes more than half of the time) …"""
    max_wait: float
    """… unless that one has waited this long: then no new request goes to the model whose place it needs."""
    memory: int | None = None
    """Of all loaded models together, by their last known sizes."""


class Phase(enum.Enum):
    """Of a model in the engine."""

    COLD = enum.auto()
    LOADING = enum.auto()
    LOADED = enum.auto()
    UNLOADING = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One model, as it is now. Moments on the clock of `now`."""

    name: str
    phase: Phase
    busy: int = 0
    """Requests that the engine is answering."""
    asked: float = NEVER
    """Since when somebody waits for it; later than now: when it may be tried again."""
    used: float = 0.0
    """When its last request ended; later than now: it is left alone until then."""
    loaded: float = 0.0
    """When its load was done …"""
    took: float = 0.0
    """… and how long that took."""
    keep_alive: float = NEVER
    """How long it stays idle."""
    pinned: bool = False
    leaving: bool = False
    """Somebody said that it is to go."""
    size: int = 0
    """Bytes, as far as they are known."""

    @property
    def idle(self) -> bool:
        """Loaded, and nobody uses it."""
        return self.phase is Phase.LOADED and not self.busy


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done now, and when to look again at the latest if nothing happens before."""

    unload: dict[str, Reason] = field(default_factory=dict)
    load: str | None = None
    closed: frozenset[str] = frozenset()
    """Loaded models that take no new request: they go as soon as they are idle."""
    wake: float = NEVER


def decide(rules: Rules, models: Collection[Seen], now: float) -> Decision:
    """The next steps for these models."""
    unload = {model.name: reason for model in models if (reason := _over(model, now))}
    closed = {model.name for model in models if model.leaving and model.phase is Phase.LOADED}
    moments = [model.asked for model in models if model.phase is Phase.COLD and model.asked > now]
    wanted = _wanted(models, now)
    here = [model for model in models if model.phase is not Phase.COLD]
    for victim in _victims(rules, [model for model in here if model.name not in unload], wanted):
        moment = _moment(rules, victim, wanted)
        if now < moment:
            moments.append(moment)
        elif victim.busy:
            closed.add(victim.name)
        else:
            unload[victim.name] = "room"
    staying = (model for model in here if model.idle and not model.pinned and model.name not in unload)
    moments += [model.used + model.keep_alive for model in staying]
    # One load at a time, as engines do it; and not before there is room for it.
    loading = any(model.phase is Phase.LOADING for model in here)
    load = wanted.name if wanted and not loading and _fits(rules, here, wanted) else None
    return Decision(unload, load, frozenset(closed - unload.keys()), min(moments, default=NEVER))


def _over(model: Seen, now: float) -> Reason | None:
    """Why a model goes whatever the others do."""
    if not model.idle or now < model.used:
        return None
    if model.leaving:
        return "asked"
    return "expired" if not model.pinned and now >= model.used + model.keep_alive else None


def _wanted(models: Collection[Seen], now: float) -> Seen | None:
    """Whose request has waited the longest: all that wait for the same model go with it."""
    waiting = [model for model in models if model.phase is Phase.COLD and model.asked <= now]
    return min(waiting, key=lambda model: model.asked, default=None)


def _victims(rules: Rules, here: list[Seen], wanted: Seen | None) -> list[Seen]:
    """Who has to go, among those that are here and stay otherwise."""
    staying = [model for model in here if model.phase is not Phase.UNLOADING]
    victims = []
    for model in sorted(staying, key=lambda model: (model.busy > 0, model.used)):
        if model.pinned or model.phase is Phase.LOADING:
            continue
        at_once = rules.eviction == "immediate" and wanted is not None and model.idle
        if at_once or not _fits(rules, staying, wanted):
            staying.remove(model)
            victims.append(model)
    return victims


def _moment(rules: Rules, victim: Seen, wanted: Seen | None) -> float:
    """When a victim has to make room; a busy one stops taking requests then."""
    if wanted is None:  # there are more than there may be, and nobody waits
        return NEVER if victim.busy else victim.used
    patience = wanted.asked + rules.max_wait
    given = victim.took if rules.min_residency is None else rules.min_residency
    return patience if victim.busy else max(victim.used, min(victim.loaded + given, patience))


def _fits(rules: Rules, here: Collection[Seen], wanted: Seen | None) -> bool:
    """Whether there is room for the wanted one beside these."""
    if len(here) + (wanted is not None) > rules.max_models:
        return False
    beside = sum(not model.pinned for model in here) + (wanted is not None)
    if rules.memory is None or beside <= 1:
        return True  # alone with those that must stay, it may be larger than all of it: nothing more could go
    return sum(model.size for model in here) + (wanted.size if wanted else 0) <= rules.memory
