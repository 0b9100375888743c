"""Adapter of llama.cpp's llama-server in router mode: one process that starts another for each model it loads."""

import asyncio

from .adapter import COMMON, COUNTING, EMBEDDING, RERANKING, EngineError
from .resident import Loaded, Resident, looks

_HERE = ("loaded", "sleeping")
"""Statuses of a model that is in memory and answers."""

_OWN = frozenset(
    (
        "/v1/responses/input_tokens",
        "/v1/chat/completions/input_tokens",
        "/v1/reranking",
        "/reranking",
        "/apply-template",
        "/infill",
    )
)


class LlamaServer(Resident):
    """llama-server. Health is that of the router: the first request for a model loads it (--models-autoload)."""

    kind = "llama-server"
    health_path = "/health"
    # Without `reload` the router lists the files of its start: tools/server/server-models.cpp, get_router_models.
    names_path = "/models?reload=1"
    # tools/server/server.cpp: all of them choose the model by the body's `model`, and change nothing.
    paths = COMMON | EMBEDDING | COUNTING | RERANKING | _OWN

    async def load(self, name: str, keep_alive: float | None, seconds: float) -> None:
        """Ask for the load, and poll the list for its result. llama-server has no keep-alive of its own."""
        del keep_alive
        if (await self._status()).get(name, {}).get("value") not in (*_HERE, "loading"):
            await self._json("/models/load", {"model": name})
        async with asyncio.timeout(seconds):
            async for _ in looks():
                status = (await self._status()).get(name, {})
                if status.get("value") in _HERE:
                    return
                if status.get("value") != "loading":
                    message = f"it ended while it loaded (exit code {status.get('exit_code', 'unknown')})"
                    raise EngineError(message)

    async def unload(self, name: str, seconds: float) -> None:
        """Ask for the unload; a refusal means that the model is not running."""
        try:
            await self._json("/models/unload", {"model": name})
        except EngineError:
            if name in await self.loaded():
                raise
        await self._gone(name, seconds)

    async def loaded(self) -> dict[str, Loaded]:
        """Return the loaded models; their sizes are unknown."""
        return {name: Loaded() for name, status in (await self._status()).items() if status.get("value") in _HERE}

    async def _status(self) -> dict[str, dict[str, object]]:
        try:
            return {str(model["id"]): dict(model["status"]) for model in (await self._json("/models"))["data"]}
        except (KeyError, TypeError, ValueError):
            message = "/models does not list models as the router does"
            raise EngineError(message) from None
