"""Ollama's own API, as far as the gateway needs it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Get = Callable[[str], Awaitable[tuple[int, bytes]]]
"""Status and body of a path. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the engine answers, and what it said."""

    ok: bool
    detail: str


class Ollama:
    """One Ollama server, reached through `get`."""

    kind = "ollama"

    def __init__(self, get: Get) -> None:
        self._get = get

    async def health(self) -> Health:
        """Ask `/`, which Ollama answers with 'Ollama is running' as soon as it listens."""
        try:
            status, body = await self._get("/")
        except OSError as reason:
            return Health(ok=False, detail=f"no answer: {reason or type(reason).__name__}")
        return Health(ok=status == 200, detail=f"{status} {body[:80].decode(errors='replace').strip()}")
