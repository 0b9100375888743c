"""The gateway as a process: two listeners, signals, and the shutdown."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.gateway import GatewayConfig, Limits
from ..http.application import Application
from ..http.listener import Listener
from ..http.registry import Registry
from ..http.server import ServerConnection
from ..log import Log
from ..routing.router import Router
from .admin import Admin
from .app import Gateway
from .chooser import Chooser
from .control import Control
from .drain import Lifecycle, Phase
from .metrics import Metrics
from .names import Names
from .origins import Origins
from .reload import Reload
from .upstreams import Upstreams

ADMIN_LIMITS = Limits(connections=64, header_seconds=5, body_seconds=5, body_bytes=1024)
STOP_SERVE_SECONDS = 1.0
"""Time of service after a SIGTERM without an earlier drain, in seconds: some clients notice it in time."""
_PHASES = {
    Phase.LEAVING: "draining: not ready any more, connections close after their answer",
    Phase.REFUSING: "draining: refusing new requests",
}


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that listens."""

    port: int
    admin_port: int
    lifecycle: Lifecycle
    metrics: Metrics
    stop: Callable[[float], Coroutine[None, None, int]]
    """Drains with a serving period in seconds, and closes all; returns the number of requests that an end cuts."""


@contextlib.asynccontextmanager
async def running(config: GatewayConfig, log: Log, file: Path | None = None) -> AsyncIterator[Running]:
    """Yield a gateway that listens until the block ends, which cuts requests in flight. Raises ListenError, TokenError.

    Its names and rules follow `file`, if there is one.
    """
    metrics = Metrics()
    clients, probes = Registry(config.limits.connections), Registry(ADMIN_LIMITS.connections)
    upstreams = Upstreams(config, metrics, log)
    names = Names(config)
    chooser = Chooser(config, names, upstreams)
    origins = Origins(config.place, config.cors)

    def take(new: GatewayConfig, router: Router) -> None:
        chooser.read(new, router)
        origins.read(new.cors)

    reload = Reload(file, config, take, log) if file else None
    pulls = None
    if config.pulls:
        from .pulls import Pulls  # a gateway without pulls need not load the hub's client

        engine = next(iter(upstreams)).adapter  # with pulls there is only one
        pulls = Pulls(config.pulls, config.auth, names, engine, log)

    def announce(phase: Phase, count: int) -> None:
        log.say("info", _PHASES[phase], in_flight=count)
        if pulls and phase is Phase.REFUSING:
            pulls.stop()

    lifecycle = Lifecycle(config.drain, clients, announce)
    control = Control(config.auth, names, upstreams)
    gateway = Gateway(names, chooser, config.place, upstreams, pulls, origins, control, lifecycle, metrics, log)
    admin = Admin(upstreams, lifecycle, metrics, log, reload, front=config.place == "front")
    metrics.gauge("larder_connections", "Open client connections.", lambda: len(clients))
    metrics.gauge("larder_requests_in_flight", "Requests being read or answered.", lambda: clients.in_flight)
    metrics.gauge("larder_request_bytes_held", "Bytes of request bodies in memory.", lambda: clients.held)
    metrics.gauge("larder_draining", "1 from the start of a drain.", lambda: float(lifecycle.closing))
    metrics.counter("larder_log_lines_dropped", "Lines that the log's reader did not take.", lambda: log.dropped)
    upstreams.count(metrics)
    if reload:
        metrics.counter("larder_config_reloads", "Files whose names and rules were taken.", lambda: reload.taken)
        metrics.counter("larder_config_reloads_refused", "Files that changed nothing.", lambda: reload.refused)
        metrics.gauge("larder_config_in_force", "0 while the file is not.", lambda: float(not reload.problem))
    async with contextlib.AsyncExitStack() as stack:
        listener = await Listener.open("listen", config.listen, lambda: _protocol(gateway, config.limits, clients))
        stack.callback(listener.close)
        admin_listener = await Listener.open("admin", config.admin, lambda: _protocol(admin, ADMIN_LIMITS, probes))
        stack.callback(admin_listener.close)
        watches = [reload.watch()] if reload else []
        for watch in (clients.sweep(), probes.sweep(), *upstreams.watches(), *watches):
            stack.callback(asyncio.create_task(watch).cancel)
        stack.callback(clients.close_all)
        stack.callback(upstreams.close)  # clients that wait for a model get an answer
        if pulls:
            stack.callback(pulls.stop)
        stack.callback(probes.close_all)
        yield Running(
            listener.port,
            admin_listener.port,
            lifecycle,
            metrics,
            lambda serve_seconds: lifecycle.stop(serve_seconds, listener.retire),
        )


async def serve(file: Path, config: GatewayConfig, log: Log) -> None:
    """Run until a signal: SIGTERM drains shortly (preStop may have drained already), SIGINT only finishes requests."""
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, signals.put_nowait, sign)
    async with running(config, log, file) as gateway:
        log.say(
            "info",
            "listening",
            port=gateway.port,
            admin_port=gateway.admin_port,
            engines=[engine.url for engine in config.engines],
            models=[m.id for m in config.models],
        )
        # All objects so far live as long as the process: the collector need not visit them again.
        gc.collect()
        gc.freeze()
        sign = await signals.get()
        log.say("info", "stopping", signal=sign.name)
        serve_seconds = STOP_SERVE_SECONDS if sign is signal.SIGTERM else 0
        stop = asyncio.create_task(gateway.stop(serve_seconds))
        again = asyncio.create_task(signals.get())
        await asyncio.wait({stop, again}, return_when=asyncio.FIRST_COMPLETED)
        left = stop.result() if stop.done() else gateway.lifecycle.in_flight
        again.cancel()
    log.say("info" if not left else "warning", "stopped", requests_cut=left)
    log.close()


def _protocol(app: Application[Any], limits: Limits, registry: Registry) -> ServerConnection:
    return ServerConnection(app, limits, registry)
