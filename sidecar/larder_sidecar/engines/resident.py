"""Engines that hold several models, and load and unload them when they are told to."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass

from .adapter import Adapter, EngineError

LOOK_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Between two looks at an engine that says how it stands only when it is asked."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an engine says of a model that it holds."""

    size: int = 0
    """Bytes of memory, 0 where it does not say."""


class Resident(Adapter, ABC):
    """An engine whose memory is looked after by the gateway."""

    @abstractmethod
    async def load(self, name: str, keep_alive: float | None, seconds: float) -> None:
        """Have it loaded, within `seconds`; `keep_alive` is how long the engine itself keeps it idle, None for ever.

        Of a loaded model only the keep-alive changes. Raises OSError, EngineError.
        """

    @abstractmethod
    async def unload(self, name: str, seconds: float) -> None:
        """Have it gone: its process has ended. Nothing is in flight on it. Raises OSError, EngineError."""

    @abstractmethod
    async def loaded(self) -> dict[str, Loaded]:
        """What it holds, by `key` of its names. Raises OSError, EngineError."""

    @staticmethod
    def key(name: str) -> str:
        """One form of all names that are the same to it."""
        return name

    async def _gone(self, name: str, seconds: float) -> None:
        """Wait until it holds the model no more. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            async for _ in looks():
                with contextlib.suppress(OSError, EngineError):  # it may be slow to say while it frees memory
                    if self.key(name) not in await self.loaded():
                        return


async def looks() -> AsyncIterator[None]:
    """Moments to ask again, further and further apart, until whoever asks has had enough."""
    for pause in LOOK_SECONDS:
        yield
        await asyncio.sleep(pause)
    while True:
        yield
        await asyncio.sleep(LOOK_SECONDS[-1])
