"""What the gateway asks of an engine, whichever it is."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

Get = Callable[[str], Awaitable[tuple[int, bytes]]]
"""Status and body of a path. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the engine answers, and what it said."""

    ok: bool
    detail: str


class Adapter:
    """One engine, reached through `get`. A subclass says what is its engine's own."""

    kind: ClassVar[str]
    health_path: ClassVar[str]
    """Answers 200 as soon as the engine can take requests."""
    names_path: ClassVar[str] = "/v1/models"
    """Lists models as OpenAI does."""
    api: ClassVar[str] = "/"
    """How the paths begin that it knows …"""
    lacks: ClassVar[frozenset[str]] = frozenset()
    """… but for these."""

    def __init__(self, get: Get) -> None:
        self._get = get

    def speaks(self, path: str) -> bool:
        """Whether it knows a path at all."""
        return path.startswith(self.api) and path not in self.lacks

    async def health(self) -> Health:
        """Ask `health_path`."""
        try:
            status, body = await self._get(self.health_path)
        except OSError as reason:
            return Health(ok=False, detail=f"no answer: {reason or type(reason).__name__}")
        return Health(ok=status == 200, detail=f"{status} {body[:80].decode(errors='replace').strip()}".strip())

    async def names(self) -> frozenset[str]:
        """The models it can serve now, under its own names; none where it gives no answer that can be read."""
        try:
            _, body = await self._get(self.names_path)
            return frozenset(str(model["id"]) for model in json.loads(body)["data"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return frozenset()
