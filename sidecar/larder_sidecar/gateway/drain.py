"""How the gateway goes: serve on until clients have moved, refuse, wait for what is in flight, take leave.

A connection is closed after an answer that said so, or when it has been idle; one that has not asked yet is left open
to be refused with 503. What no server can help: a request sent on an idle connection as its end is on its way (RFC 9112
9.5), and a handshake that the last look at the kernel's queue came too early for (microseconds, or the handshake's own
round trip). Neither has reached the engine. Only SIGKILL loses more.
"""

import asyncio
import contextlib
import enum
from collections.abc import Awaitable, Callable

from ..config.gateway import Drain
from ..http.registry import Registry

MARGIN_SECONDS = 5.0
"""Left of the pod's grace period for the engine to stop."""
LEAVE_SECONDS = 1.0
"""For the request of a client that has connected already, when the process ends."""
_LOOK_SECONDS = 0.05


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
        # Kept, for each request asks: in Python 3.11 naming a member of an enum costs six times an attribute.
        self.closing = False
        """Whether responses say `Connection: close`."""
        self.refusing = False

    @property
    def in_flight(self) -> int:
        """Requests being read or answered."""
        return self._clients.in_flight

    async def drain(self) -> int:
        """Drain, or wait for the drain that runs already; returns how many requests were still in flight at the end.

        Whoever connects later is refused for as long as the process lives.
        """
        if self._drain is None:
            self._drain = asyncio.create_task(self._run())
        return await asyncio.shield(self._drain)

    async def stop(self, serve_seconds: float, unlisten: Callable[[], Awaitable[None]]) -> int:
        """The process is asked to end: drain with a serving period of at most `serve_seconds`, then take leave.

        Returns how many requests are cut by ending now.
        """
        if self._drain is not None or not serve_seconds:
            self._hurry.set()
        else:
            asyncio.get_running_loop().call_later(serve_seconds, self._hurry.set)
        await self.drain()
        await unlisten()
        self._clients.retire_idle()
        await _settled(LEAVE_SECONDS, lambda: bool(self._clients.in_flight or self._clients.awaited))
        return self._clients.in_flight

    async def _run(self) -> int:
        end = asyncio.get_running_loop().time() + self._settings.grace_seconds - MARGIN_SECONDS
        # A kept-alive connection is left open until its next answer can say that it closes: a client that is about to
        # send on it would otherwise lose that request to a reset.
        self._enter(Phase.LEAVING)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.serve_seconds):
                await self._hurry.wait()
        self._enter(Phase.REFUSING)
        # Once: what becomes idle from now on has just had an answer that promised to go on.
        self._clients.retire_idle()
        await _settled(end - asyncio.get_running_loop().time(), lambda: bool(self._clients.in_flight))
        return self._clients.in_flight

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.closing, self.refusing = phase >= Phase.LEAVING, phase is Phase.REFUSING
        self._announce(phase, self._clients.in_flight)


async def _settled(seconds: float, waiting: Callable[[], bool]) -> None:
    """Look until nobody waits any more, for `seconds` at most; an event would cost every request something."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while waiting():  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)
