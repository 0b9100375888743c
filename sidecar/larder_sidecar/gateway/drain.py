"""The gateway's shutdown: serve on until clients have moved, refuse, wait for requests in flight, end.

A connection is closed after an answer that said so, or when it is idle; one without a request yet is left open
to be refused with 503. No server can save a request sent on an idle connection as its end is on its way (RFC 9112
9.5), or a handshake that completes after the last look at the kernel's queue (microseconds, or the handshake's own
round trip). Neither has reached the engine. Only SIGKILL loses more.
"""

import asyncio
import contextlib
import enum
from collections.abc import Awaitable, Callable

from ..config.gateway import Drain
from ..http.registry import Registry

MARGIN_SECONDS = 5.0
"""Part of the pod's grace period that remains for the engine to stop, in seconds."""
LEAVE_SECONDS = 1.0
"""Time for the request of a client that has connected already when the process ends, in seconds."""
_LOOK_SECONDS = 0.05


class Phase(enum.IntEnum):
    """Phases of a drain, in this order."""

    SERVING = 0
    LEAVING = 1
    """The pod is not ready any more. Requests are answered, and their connections closed."""
    REFUSING = 2


class Lifecycle:
    """The current phase, and the only drain."""

    def __init__(self, settings: Drain, clients: Registry, announce: Callable[[Phase, int], None]) -> None:
        self._settings = settings
        self._clients = clients
        self._announce = announce
        self._drain: asyncio.Task[int] | None = None
        self._hurry = asyncio.Event()
        self.phase = Phase.SERVING
        # Cached for each request: in Python 3.11 a member of an enum costs six times an attribute.
        self.closing = False
        """True if responses say `Connection: close`."""
        self.refusing = False

    @property
    def in_flight(self) -> int:
        """Return the number of requests being read or answered."""
        return self._clients.in_flight

    async def drain(self) -> int:
        """Drain, or wait for the drain that runs already; return the number of requests in flight at its end.

        Later connections are refused for as long as the process lives.
        """
        if self._drain is None:
            self._drain = asyncio.create_task(self._run())
        return await asyncio.shield(self._drain)

    async def stop(self, serve_seconds: float, unlisten: Callable[[], Awaitable[None]]) -> int:
        """Drain with a serving period of at most `serve_seconds`, then close everything, for the process ends.

        Returns the number of requests that an end now cuts.
        """
        if self._drain is not None or not serve_seconds:
            self._hurry.set()
        else:
            asyncio.get_running_loop().call_later(serve_seconds, self._hurry.set)
        await self.drain()
        await unlisten()
        self._clients.retire_idle()
        await _wait_while(LEAVE_SECONDS, lambda: bool(self._clients.in_flight or self._clients.accepting))
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
        # Once: a connection that becomes idle later has just had an answer that promised to keep it.
        self._clients.retire_idle()
        await _wait_while(end - asyncio.get_running_loop().time(), lambda: bool(self._clients.in_flight))
        return self._clients.in_flight

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.closing, self.refusing = phase >= Phase.LEAVING, phase is Phase.REFUSING
        self._announce(phase, self._clients.in_flight)


async def _wait_while(seconds: float, waiting: Callable[[], bool]) -> None:
    """Wait until `waiting` is false, for `seconds` at most. It polls, because an event would cost every request."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while waiting():  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)
