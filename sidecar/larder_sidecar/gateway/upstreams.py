"""The engines behind one gateway: which of them answers for a model, and its connections."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from ..config.gateway import Engine, GatewayConfig, Limits
from ..engines import ADAPTERS, Adapter
from .exchange import Line
from .metrics import Metrics
from .wire import call
from .wire.pool import Pool

HEALTH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """One engine, and the way to it."""

    name: str
    adapter: Adapter
    line: Line

    def speaks(self, path: str) -> bool:
        """Whether its engine knows the path at all."""
        return self.adapter.speaks(path)

    async def health(self) -> dict[str, str | bool]:
        """What it says of itself, for whoever looks after the gateway."""
        health = await self.adapter.health()
        return {"name": self.name, "kind": self.adapter.kind, "ok": health.ok, "detail": health.detail}


class Upstreams:
    """All engines of one configuration, each with a pool of its own: a dead one costs the others nothing."""

    def __init__(self, config: GatewayConfig, metrics: Metrics) -> None:
        self._all = {engine.name: _upstream(engine, config.limits, metrics) for engine in config.engines}
        self._of_model = {model: self._all[engine.name] for model, engine in config.engine_of().items()}

    def __iter__(self) -> Iterator[Upstream]:
        return iter(self._all.values())

    def of(self, model: str) -> Upstream:
        """The engine that answers for the model of this id; one that the file does not name was pulled beside it."""
        return self._of_model.get(model) or next(iter(self))

    def speaking(self, path: str) -> Upstream | None:
        """The first engine that knows a path which names no model."""
        return next((upstream for upstream in self if upstream.speaks(path)), None)

    async def health(self) -> list[dict[str, str | bool]]:
        """Of every engine, asked at once."""
        return await asyncio.gather(*(upstream.health() for upstream in self))


def _upstream(engine: Engine, limits: Limits, metrics: Metrics) -> Upstream:
    pool = Pool(engine.url, limits.connect_seconds)
    adapter = ADAPTERS[engine.kind](lambda path: call.get(pool, path, HEALTH_SECONDS))
    return Upstream(engine.name, adapter, Line(pool, limits, metrics))
