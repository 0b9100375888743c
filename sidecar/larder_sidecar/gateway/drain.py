"""How the gateway goes: serve on until clients have moved, refuse, wait for what is in flight."""

import asyncio
import enum
from collections.abc import Callable

from ..config.gateway import Drain
from .wire.registry import Registry

MARGIN_SECONDS = 5.0
"""Left of the pod's grace period for the engine to stop."""


class Phase(enum.IntEnum):
    """In this order, never back."""

    SERVING = 0
    LEAVING = 1
    """Not ready any more; requests are answered, connections are closed after them."""
    REFUSING = 2


class Lifecycle:
    """Which phase it is, and the one drain there can be."""

    def __init__(self, settings: Drain, clients: Registry, announce: Callable[[Phase, int], None]) -> None:
        self._settings = settings
        self._clients = clients
        self._announce = announce
        self._drain: asyncio.Task[int] | None = None
        self._hurry = asyncio.Event()
        self.phase = Phase.SERVING

    @property
    def closing(self) -> bool:
        """Whether responses say `Connection: close`."""
        return self.phase is not Phase.SERVING

    @property
    def in_flight(self) -> int:
        """Requests being read or answered."""
        return self._clients.in_flight

    async def drain(self) -> int:
        """Drain, or wait for the drain that runs already; returns how many requests were still in flight at the end."""
        if self._drain is None:
            self._drain = asyncio.create_task(self._run())
        return await asyncio.shield(self._drain)

    async def stop(self, serve_seconds: float) -> int:
        """The process is asked to end: drain with a serving period of at most `serve_seconds`."""
        if self._drain is not None or not serve_seconds:
            self._hurry.set()
        else:
            asyncio.get_running_loop().call_later(serve_seconds, self._hurry.set)
        return await self.drain()

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        end = loop.time() + max(self._settings.grace_seconds - MARGIN_SECONDS, 0)
        # A kept-alive connection is left open until its next answer can say that it closes: a client that is about to
        # send on it would otherwise lose that request to a reset.
        self._enter(Phase.LEAVING)
        try:
            async with asyncio.timeout(self._settings.serve_seconds):
                await self._hurry.wait()
        except TimeoutError:
            pass
        self._enter(Phase.REFUSING)
        while self._clients.in_flight and loop.time() < end:
            self._clients.close_idle()
            await asyncio.sleep(0.05)
        self._clients.close_idle()
        return self._clients.in_flight

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._announce(phase, self._clients.in_flight)
