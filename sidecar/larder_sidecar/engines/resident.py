"""Base class for engines that hold several models, and load and unload them on request."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass

from .adapter import Adapter, EngineError

LOOK_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Seconds between two polls of an engine, growing."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded model, as its engine reports it."""

    size: int = 0
    """Bytes of memory, 0 if unknown."""


class Resident(Adapter, ABC):
    """An engine whose memory the gateway manages."""

    @abstractmethod
    async def load(self, name: str, keep_alive: float | None, seconds: float) -> None:
        """Load it within `seconds`; `keep_alive` is how long the engine itself keeps it idle, None for ever.

        If the model is loaded, only its keep-alive changes. Raises OSError, EngineError.
        """

    @abstractmethod
    async def unload(self, name: str, seconds: float) -> None:
        """Unload it, until its process has ended. No request is in flight on it. Raises OSError, EngineError."""

    @abstractmethod
    async def loaded(self) -> dict[str, Loaded]:
        """Return the loaded models, by `key` of their names. Raises OSError, EngineError."""

    @staticmethod
    def key(name: str) -> str:
        """Return one form for all names that the engine treats as equal."""
        return name

    async def _gone(self, name: str, seconds: float) -> None:
        """Wait until the model is unloaded. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            async for _ in looks():
                with contextlib.suppress(OSError, EngineError):  # it may answer slowly while it frees memory
                    if self.key(name) not in await self.loaded():
                        return


async def looks() -> AsyncIterator[None]:
    """Yield at the moments to poll, with growing pauses, until the caller stops."""
    for pause in LOOK_SECONDS:
        yield
        await asyncio.sleep(pause)
    while True:
        yield
        await asyncio.sleep(LOOK_SECONDS[-1])
