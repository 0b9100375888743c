"""The engines behind one gateway: which of them answers for a model, and its connections."""

import asyncio
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from ..config.gateway import Engine, GatewayConfig
from ..engines import ADAPTERS, Adapter, Resident
from ..residency.scheduler import Scheduler
from .exchange import Line
from .journal import Journal
from .metrics import Metrics
from .wire import call
from .wire.pool import Pool


@dataclass(frozen=True, slots=True)
class Upstream:
    """One engine, and the way to it."""

    name: str
    adapter: Adapter
    line: Line
    residency: Scheduler | None
    """Who loads and unloads its models; None where the engine does so itself."""

    def speaks(self, path: str) -> bool:
        """Whether its engine knows the path at all."""
        return self.adapter.speaks(path)

    async def health(self) -> dict[str, str | bool]:
        """What it says of itself, for whoever looks after the gateway."""
        health = await self.adapter.health()
        return {"name": self.name, "kind": self.adapter.kind, "ok": health.ok, "detail": health.detail}


class Upstreams:
    """All engines of one configuration, each with a pool of its own: a dead one costs the others nothing."""

    def __init__(self, config: GatewayConfig, metrics: Metrics, journal: Journal) -> None:
        self._all = {engine.name: _upstream(engine, config, metrics, journal) for engine in config.engines}
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


def _upstream(engine: Engine, config: GatewayConfig, metrics: Metrics, journal: Journal) -> Upstream:
    pool = Pool(engine.url, config.limits.connect_seconds)
    adapter = ADAPTERS[engine.kind](functools.partial(call.ask, pool))
    residency = None
    if config.residency and isinstance(adapter, Resident):
        models = ((model.id, model.engine_name) for model in config.models)
        hold = config.limits.hold_seconds
        residency = Scheduler(config.residency, adapter, models, journal.say, hold_seconds=hold)
    return Upstream(engine.name, adapter, Line(pool, config.limits, metrics), residency)
