"""The manager as a process: two listeners, and a shutdown by signal."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from ..bearer import Token
from ..config.gateway import Limits
from ..config.manager import ManagerConfig
from ..http.application import Application
from ..http.listener import Listener
from ..http.registry import Registry
from ..http.server import ServerConnection
from ..log import Log
from .activation import Activations
from .app import Manager, Probes
from .history import History
from .kube import KubeApi
from .synced import SyncedCatalog

LIMITS = Limits(connections=128, header_seconds=10, body_seconds=10, body_bytes=64 * 1024)
"""Limits on clients. A body holds one name."""
PROBE_LIMITS = Limits(connections=32, header_seconds=5, body_seconds=5, body_bytes=1024)


@dataclass(frozen=True, slots=True)
class Running:
    """A manager that listens."""

    port: int
    admin_port: int


@contextlib.asynccontextmanager
async def run_manager(config: ManagerConfig, log: Log) -> AsyncIterator[Running]:
    """Yield a manager that listens until the block ends.

    Raises TokenError, StateError, ApiError and ListenError, before any port is open.
    """
    token = Token(config.token_file)
    api = KubeApi(config.api)
    async with contextlib.AsyncExitStack() as stack:
        history = History(config.state)
        stack.callback(history.close)
        catalog = SyncedCatalog(config.catalog)
        activations = Activations(config, api, history, log)
        stack.push_async_callback(activations.stop)

        async def listen(key: str, address: str, app: Application[Any], limits: Limits) -> int:
            registry = Registry(limits.connections)
            listener = await Listener.open(key, address, lambda: ServerConnection(app, limits, registry))
            stack.callback(registry.close_all)
            stack.callback(listener.close)
            stack.callback(asyncio.create_task(registry.sweep()).cancel)
            return listener.port

        manager = Manager(catalog, activations, token, log)
        yield Running(
            await listen("listen", config.listen, manager, LIMITS),
            await listen("admin", config.admin, Probes(catalog), PROBE_LIMITS),
        )


async def serve(config: ManagerConfig, log: Log) -> None:
    """Run until SIGTERM or SIGINT. A change under way goes on in the cluster; the history calls it interrupted."""
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, signals.put_nowait, sign)
    async with run_manager(config, log) as manager:
        log.say("info", "listening", port=manager.port, admin_port=manager.admin_port)
        log.say("info", "stopping", signal=(await signals.get()).name)
    log.close()
