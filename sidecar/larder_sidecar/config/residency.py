"""`residency` of gateway.json: which models stay loaded, how long, and what clients may say about it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from .base import Model
from .weights import ModelId

Strategy = Literal["ram", "ssd", "none"]
Eviction = Literal["lru", "immediate"]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


@dataclass(frozen=True)
class Defaults:
    """What a strategy stands for where nothing else is said."""

    max_models: int
    eviction: Eviction
    keep_alive: float


DEFAULTS: Mapping[Strategy, Defaults] = {
    "ram": Defaults(max_models=3, eviction="lru", keep_alive=1800),
    "ssd": Defaults(max_models=1, eviction="immediate", keep_alive=120),
    "none": Defaults(max_models=1, eviction="immediate", keep_alive=0),
}
"""Many models for long, one for short, one for its requests alone."""


def _by_strategy(value: Literal["max_models", "eviction", "keep_alive"]) -> Callable[[dict[str, Any]], Any]:
    return lambda known: getattr(DEFAULTS[known.get("strategy", "ram")], value)


class Residency(Model):
    """The whole block. Times in seconds."""

    strategy: Strategy = "ram"
    max_models: int = Field(default_factory=_by_strategy("max_models"), ge=1, le=1000)
    """Loaded at one time."""
    eviction: Eviction = Field(default_factory=_by_strategy("eviction"))
    """`lru`: without room the least recently used one goes; `immediate`: idle ones go as soon as another is wanted."""
    keep_alive: Seconds = Field(default_factory=_by_strategy("keep_alive"))
    """An idle model stays loaded for so long."""
    min_residency: Seconds | None = None
    """A model that was loaded keeps its place for so long, against models that push each other out; None: for as long
    as its load took …"""
    max_wait: Seconds = 10
    """… but not against a request that has waited so long: then the model in its way takes no new ones."""
    wait_seconds: Seconds = 600
    """A request waits no longer for its model."""
    load_seconds: Seconds = 600
    """A load takes no longer."""
    heartbeat_seconds: Seconds = 0
    """After so long a client that waits for a stream gets its 200 and a comment, and again: load balancers cut what is
    silent. An error is an event of the stream then, and no status. 0: its first byte is the engine's."""
    queue: int = Field(default=256, ge=1, le=100_000)
    """Requests that may wait at one time, for all models together."""
    memory: int | None = Field(default=None, gt=0)
    """Bytes of all loaded models together, as the engine reports them."""
    pin: list[ModelId] = Field(default=[])
    """Loaded at the start, and never unloaded."""
    preload: list[ModelId] = Field(default=[])
    """Loaded at the start, in this order; the pod is ready after that."""
    client_keep_alive: Literal["ignore", "clamp", "obey"] = "ignore"
    """What becomes of `keep_alive` on Ollama's own paths. It would hold for everybody's later requests."""
    client_options: Literal["ignore", "obey"] = "ignore"
    """What becomes of options that Ollama reloads a model for, such as num_ctx."""

    def problem(self, models: Collection[str], *, more: bool = False) -> str | None:
        """What is wrong with it for an engine that serves these models, and `more` that clients bring."""
        for word, names in (("pin", self.pin), ("preload", self.preload)):
            if unknown := [name for name in names if name not in models]:
                return f"{word}: {unknown[0]!r} is not among the models: {', '.join(models)}"
        first, pins = {*self.pin, *self.preload}, {*self.pin}
        if len(first) > self.max_models:
            return f"pin and preload name {len(first)} models, and max-models is {self.max_models}"
        if len(pins) >= self.max_models and (more or pins < {*models}):
            return f"pin takes every place that max-models has ({self.max_models}); other models would never be loaded"
        if not self.keep_alive and first - pins:
            return "preload does nothing with keep-alive 0, which unloads at once. Pin the models instead"
        return None
