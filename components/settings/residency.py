"""larder:gateway.residency: rules for the models that an engine keeps loaded, and for their eviction."""

from collections.abc import Collection
from typing import Annotated

from larder_sidecar.config.residency import DEFAULTS, Eviction, Strategy
from larder_sidecar.config.residency import Residency as Rules
from pydantic import Field

from .base import Block
from .quantities import Duration, Size, seconds, size_bytes

LONGEST_WAIT = 86_400
"""Upper bound in seconds, a day, for every wait that is computed from sizes and bandwidth."""


class Residency(Block):
    """Rules for loaded models, for each engine that loads on demand: Ollama and llama-server."""

    strategy: Strategy = "ram"
    """ram (3 models, 30m, lru), ssd (1 model, 2m, immediate) or none (unload after each answer)."""
    max_models: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Models loaded at one time. Memory is requested for as many. Default: the strategy's."""
    eviction: Eviction | None = None
    """lru: evict the least recently used model if room is short; immediate: evict idle models for any other model."""
    keep_alive: Duration | None = None
    """Time that an idle model stays loaded, as in 30m. Default: the strategy's."""
    pin: list[str] = Field(default=[])
    """Models that are loaded at the start and never unloaded."""
    preload: list[str] = Field(default=[])
    """Models that are loaded at the start, in this order; the pod is ready after that."""
    min_residency: Duration | None = None
    """Least time that a model stays loaded, as in 5s. Default: the time that its load took."""
    max_wait: Duration = "10s"
    """Time after which a model that blocks a waiting request takes no new requests, as in 10s."""
    heartbeat: Duration | None = None
    """Interval of comments to a client that waits for a stream, as in 20s. Default: no comments."""
    memory: Size | None = None
    """Limit for all loaded models together, as the engine reports them, as in 24Gi. Default: no limit."""
    queue: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Requests that may wait for their models at one time; further ones get status 429."""
    client_keep_alive: Annotated[str, Field(pattern="^(ignore|clamp|obey)$")] = "ignore"
    """Treatment of keep_alive on Ollama's own paths: ignore, clamp (never longer than keep-alive) or obey."""
    client_options: Annotated[str, Field(pattern="^(ignore|obey)$")] = "ignore"
    """Treatment of options on Ollama's own paths that reload a model, such as num_ctx: ignore or obey."""

    def rules(self, models: Collection[str], *, load_seconds: float, more: bool = False) -> Rules:
        """Return the rules for an engine with these models, and with `more` that clients bring."""
        rules = self.model_dump(exclude_none=True)
        for key in {"keep_alive", "min_residency", "max_wait"} & rules.keys():
            rules[key] = seconds(rules[key])
        if self.heartbeat is not None:
            rules["heartbeat_seconds"] = seconds(rules.pop("heartbeat"))
        if self.memory is not None:
            rules["memory"] = size_bytes(self.memory)
        for key in ("pin", "preload"):
            rules[key] = [model for model in rules[key] if model in models]
        most = self.max_models or DEFAULTS[self.strategy].max_models
        rules["max_models"] = most if more else min(most, len(models))
        longest = min(load_seconds, LONGEST_WAIT)
        return Rules(**rules, load_seconds=longest, wait_seconds=longest)

    def problem(self, models: Collection[str], *, more: bool) -> tuple[str, str] | None:
        """Return a setting that is wrong for such an engine, and its problem; None without one."""
        return self.rules(models, load_seconds=0, more=more).problem(models, more=more)
