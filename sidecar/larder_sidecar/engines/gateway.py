"""Another gateway of Larder, as the front knows it."""

from typing import Any

from .adapter import Adapter, EngineError


class Gateway(Adapter):
    """The gateway in an engine's pod. Its admin port is not for us: that it lists its models has to do."""

    kind = "gateway"
    health_path = "/v1/models"
    paths = frozenset()

    def speaks(self, path: str) -> bool:
        """Take every path: the gateway knows what its own engine answers, and says so."""
        del path
        return True

    async def stats(self) -> dict[str, Any] | None:
        """Return its stats of its models; None if it has none or does not answer."""
        try:
            told = await self._json("/api/llm/stats")
        except (OSError, EngineError):
            return None
        return told if isinstance(told, dict) else None
