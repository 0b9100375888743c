"""Adapter of another gateway of Larder, for the front."""

from typing import Any

from .adapter import Adapter, EngineError


class Gateway(Adapter):
    """The gateway in an engine's pod. Its admin port is closed to us; it is healthy if it lists its models."""

    kind = "gateway"
    health_path = "/v1/models"
    paths = frozenset()

    def speaks(self, path: str) -> bool:
        """Accept every path: the gateway itself refuses the paths that its engine does not serve."""
        del path
        return True

    async def stats(self) -> dict[str, Any] | None:
        """Return its stats of its models; None if it has none or does not answer."""
        try:
            told = await self._json("/api/llm/stats")
        except (OSError, EngineError):
            return None
        return told if isinstance(told, dict) else None
