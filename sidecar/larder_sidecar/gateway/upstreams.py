"""The engines behind one gateway: the engine of each model, and its connections."""

import asyncio
import functools
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from ..config.gateway import Engine, GatewayConfig
from ..engines import Adapter, Resident, adapter_of
from ..engines.gateway import Gateway
from ..http import call
from ..http.headers import FROM_GATEWAY, TO_CLIENT
from ..http.pool import Pool
from ..log import Log
from ..residency.scheduler import Scheduler
from .exchange import Line
from .metrics import Metrics
from .replicas import Replicas
from .resident_metrics import ResidentMetrics
from .routes import ROUTES


@dataclass(frozen=True, slots=True)
class Upstream:
    """One engine, and its connections."""

    name: str
    adapter: Adapter
    line: Line
    pool: Pool
    """Connections to the host of its URL."""
    replicas: Replicas | None
    """Replicas behind that host name, if there are several."""
    residency: Scheduler | None
    """Scheduler of its models; None if the engine loads and unloads them itself."""

    def gateways(self) -> dict[str, Gateway]:
        """Return the gateways behind it, by name; none if it is not a gateway."""
        if self.replicas:
            return {f"{self.name} {replica.address}": replica.gateway for replica in self.replicas.here()}
        return {self.name: self.adapter} if isinstance(self.adapter, Gateway) else {}

    def speaks(self, path: str) -> bool:
        """Tell if its engine serves the path."""
        return self.adapter.speaks(path)

    async def health(self) -> dict[str, str | bool]:
        """Return its own report of its health."""
        health = await self.adapter.health()
        return {"name": self.name, "kind": self.adapter.kind, "ok": health.ok, "detail": health.detail}


class Upstreams:
    """All engines of one configuration, each with its own pool, so that a dead one does not affect the others."""

    def __init__(self, config: GatewayConfig, metrics: Metrics, log: Log) -> None:
        self._all = {engine.name: _upstream(engine, config, metrics, log) for engine in config.engines}
        self._speaking: dict[str, Upstream | None] = {
            path: next((upstream for upstream in self if upstream.speaks(path)), None) for path in ROUTES
        }
        self._of_model = {model: self._all[engine.name] for model, engine in config.engine_of().items()}

    def __iter__(self) -> Iterator[Upstream]:
        return iter(self._all.values())

    def of(self, model: str) -> Upstream:
        """Return the engine of the model with this id; a model that the file does not name was pulled."""
        return self._of_model.get(model) or next(iter(self))

    def speaking(self, path: str) -> Upstream | None:
        """Return the first engine that serves a path of the routes."""
        return self._speaking.get(path)

    def count(self, metrics: Metrics) -> None:
        """Add the metrics of residency."""
        for upstream in self:
            if upstream.residency:
                metrics.also(ResidentMetrics(upstream.residency))

    def watches(self) -> list[Coroutine[Any, Any, None]]:
        """Return the coroutines that run as long as the gateway does."""
        watches: list[Coroutine[Any, Any, None]] = []
        for upstream in self:
            watches.append(upstream.pool.sweep())
            watches += [one.watch() for one in (upstream.residency, upstream.replicas) if one]
        return watches

    def close(self) -> None:
        """Refuse waiting requests, and close idle connections."""
        for upstream in self:
            upstream.pool.close_idle()
            if upstream.replicas:
                upstream.replicas.close()
            if upstream.residency:
                upstream.residency.stop()

    async def health(self) -> list[dict[str, str | bool]]:
        """Ask all engines for their health at once."""
        return await asyncio.gather(*(upstream.health() for upstream in self))


def _upstream(engine: Engine, config: GatewayConfig, metrics: Metrics, log: Log) -> Upstream:
    limits = config.limits
    pool = Pool(engine.url, limits.connect_seconds)
    adapter = adapter_of(engine.kind)(functools.partial(call.ask, pool))
    replicas = Replicas(engine.url, limits.connect_seconds) if engine.replicated else None
    residency = None
    if config.residency and isinstance(adapter, Resident):
        models = ((model.id, model.engine_name) for model in config.models)
        residency = Scheduler(config.residency, adapter, models, log.say, hold_seconds=limits.hold_seconds)
    to_client = FROM_GATEWAY if engine.kind == "gateway" else TO_CLIENT
    line = Line(replicas.pick if replicas else lambda _: pool, limits, metrics, to_client)
    return Upstream(engine.name, adapter, line, pool, replicas, residency)
