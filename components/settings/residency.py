"""larder:gateway.residency: which models stay loaded in an engine, how long, and who gives way."""

from collections.abc import Collection
from typing import Annotated

from larder_sidecar.config.residency import DEFAULTS, Eviction, Strategy
from larder_sidecar.config.residency import Residency as Rules
from pydantic import Field

from .base import Block
from .quantities import Duration, Size, seconds, size_bytes
from .routing import Served

LONGEST_WAIT = 86_400
"""Seconds: a day, whatever the slowest line may take."""


class Residency(Block):
    """For each engine that loads models on demand: Ollama, and llama-server."""

    strategy: Strategy = "ram"
    """ram (3 models, 30m, lru), ssd (1 model, 2m, immediate) or none (unloaded after each answer)."""
    max_models: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Models loaded at one time. Memory is requested for as many. Default: the strategy's."""
    eviction: Eviction | None = None
    """lru: without room the least recently used one goes; immediate: idle ones go as soon as another is wanted."""
    keep_alive: Duration | None = None
    """How long an idle model stays, as in 30m. Default: the strategy's."""
    pin: list[Served] = Field(default=[])
    """Models that are loaded at the start and never unloaded."""
    preload: list[Served] = Field(default=[])
    """Models that are loaded at the start, in this order; the pod is ready after that."""
    min_residency: Duration | None = None
    """A model that was just loaded keeps its place for so long, as in 5s. Default: as long as its load took."""
    max_wait: Duration = "10s"
    """After so long a waiting request gets its turn: the model in its way takes no new ones."""
    heartbeat: Duration | None = None
    """After so long a client that waits for a stream is sent a comment, and again, as in 20s. Default: never."""
    memory: Size | None = None
    """Of all loaded models together, by the engine's own word, as in 24Gi. Default: max-models alone counts."""
    queue: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Requests that may wait for their models at one time; more are answered 429."""
    client_keep_alive: Annotated[str, Field(pattern="^(ignore|clamp|obey)$")] = "ignore"
    """What becomes of keep_alive on Ollama's own paths: ignore, clamp (never longer than ours) or obey."""
    client_options: Annotated[str, Field(pattern="^(ignore|obey)$")] = "ignore"
    """What becomes of options there that reload a model, such as num_ctx: ignore or obey."""

    def rules(self, models: Collection[str], *, load_seconds: float, more: bool = False) -> Rules:
        """For an engine that serves these models, and `more` that clients bring."""
        told = self.model_dump(exclude_none=True)
        for word in {"keep_alive", "min_residency", "max_wait"} & told.keys():
            told[word] = seconds(told[word])
        if self.heartbeat is not None:
            told["heartbeat_seconds"] = seconds(told.pop("heartbeat"))
        if self.memory is not None:
            told["memory"] = size_bytes(self.memory)
        for word in ("pin", "preload"):
            told[word] = [model for model in told[word] if model in models]
        most = self.max_models or DEFAULTS[self.strategy].max_models
        told["max_models"] = most if more else min(most, len(models))
        longest = min(load_seconds, LONGEST_WAIT)
        return Rules(**told, load_seconds=longest, wait_seconds=longest)

    def problem(self, models: Collection[str], *, more: bool) -> str | None:
        """What is wrong with it for an engine that serves these models, and `more` that clients bring."""
        return self.rules(models, load_seconds=0, more=more).problem(models, more=more)
