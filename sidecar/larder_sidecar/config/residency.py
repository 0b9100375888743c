"""`residency` of gateway.json: the models that stay loaded, how long, and the influence of clients on it."""

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
    """Defaults of a strategy for settings that the file does not state."""

    max_models: int
    eviction: Eviction
    keep_alive: float


DEFAULTS: Mapping[Strategy, Defaults] = {
    "ram": Defaults(max_models=3, eviction="lru", keep_alive=1800),
    "ssd": Defaults(max_models=1, eviction="immediate", keep_alive=120),
    "none": Defaults(max_models=1, eviction="immediate", keep_alive=0),
}
"""Defaults by strategy: several models for long, one for short, one only during its requests."""


def _by_strategy(value: Literal["max_models", "eviction", "keep_alive"]) -> Callable[[dict[str, Any]], Any]:
    return lambda known: getattr(DEFAULTS[known.get("strategy", "ram")], value)


class Residency(Model):
    """The whole block. Times in seconds."""

    strategy: Strategy = "ram"
    max_models: int = Field(default_factory=_by_strategy("max_models"), ge=1, le=1000)
    """Limit for models loaded at one time."""
    eviction: Eviction = Field(default_factory=_by_strategy("eviction"))
    """`lru`: evict the least recently used model for room; `immediate`: evict idle ones when another is requested."""
    keep_alive: Seconds = Field(default_factory=_by_strategy("keep_alive"))
    """Time that an idle model stays loaded."""
    min_residency: Seconds | None = None
    """Time in which a loaded model is not evicted for another one. None: as long as its load took."""
    max_wait: Seconds = 10
    """Limit for that protection: after a request has waited so long, the model to evict takes no new requests."""
    wait_seconds: Seconds = 600
    """Limit for the time that a request waits for its model."""
    load_seconds: Seconds = 600
    """Limit for the time of a load."""
    heartbeat_seconds: Seconds = 0
    """Interval of comments to a client that waits for a stream; load balancers cut silent connections.
    The first comment sends status 200, so that a later error is an event of the stream. 0: no comments."""
    queue: int = Field(default=256, ge=1, le=100_000)
    """Limit for waiting requests, for all models together."""
    memory: int | None = Field(default=None, gt=0)
    """Limit for all loaded models together, in bytes, as the engine reports them."""
    pin: list[ModelId] = Field(default=[])
    """Models that are loaded at the start, and never unloaded."""
    preload: list[ModelId] = Field(default=[])
    """Models that are loaded at the start, in this order; the pod is ready after that."""
    client_keep_alive: Literal["ignore", "clamp", "obey"] = "ignore"
    """Treatment of `keep_alive` on Ollama's own paths. It would hold for later requests of all clients."""
    client_options: Literal["ignore", "obey"] = "ignore"
    """Treatment of options for which Ollama reloads a model, such as num_ctx."""

    def problem(self, models: Collection[str], *, more: bool = False) -> tuple[str, str] | None:
        """Return a setting that is wrong for an engine with `models`, and its problem; None without one.

        With `more`, pulls add models.
        """
        for word, names in (("pin", self.pin), ("preload", self.preload)):
            if unknown := [name for name in names if name not in models]:
                return word, f"{unknown[0]!r} is not among the models: {', '.join(models)}"
        first, pins = {*self.pin, *self.preload}, {*self.pin}
        if len(first) > self.max_models:
            named = f"pin and preload name {len(first)} models"
            fix = f"Fix: set max-models: {len(first)}, or name fewer models"
            return "max-models", f"at most {self.max_models} may be loaded at a time, but {named}. {fix}"
        if len(pins) >= self.max_models and (more or pins < {*models}):
            places = f"every place that max-models has ({self.max_models})"
            fix = "Fix: raise max-models, or pin fewer models"
            return "pin", f"the pinned models take {places}, so no other model would be loaded. {fix}"
        if not self.keep_alive and first - pins:
            return "preload", "it has no effect with keep-alive 0, which unloads at once. Fix: pin the models instead"
        return None
