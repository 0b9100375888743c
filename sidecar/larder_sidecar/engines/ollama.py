"""Adapter of Ollama's own API, as far as the gateway needs it."""

from ..config.weights import canonical
from .adapter import COMMON, EMBEDDING, EngineError, describe_failure
from .resident import Loaded, Resident

_NATIVE = frozenset(
    f"/api/{name}" for name in ("chat", "generate", "embed", "embeddings", "show", "tags", "ps", "version")
)


class Ollama(Resident):
    """One Ollama server: `/` answers 'Ollama is running' as soon as it listens."""

    kind = "ollama"
    health_path = "/"
    paths = COMMON | EMBEDDING | _NATIVE

    async def load(self, name: str, keep_alive: float | None, seconds: float) -> None:
        """Load by a request without a prompt on the native path: /v1 knows no keep_alive (openai/openai.go)."""
        body = {"model": name, "stream": False, "keep_alive": -1 if keep_alive is None else keep_alive}
        status, answer = await self._ask("/api/generate", body, seconds=seconds)
        if status == 400 and b"does not support generate" in answer:  # it only embeds
            status, answer = await self._ask("/api/embed", body, seconds=seconds)
        if status != 200:
            raise EngineError(describe_failure(status, answer))

    async def unload(self, name: str, seconds: float) -> None:
        """Ask for the unload, and poll /api/ps until the model has gone; a GPU's memory may be freed later."""
        await self._json("/api/generate", {"model": name, "stream": False, "keep_alive": 0}, seconds=seconds)
        await self._gone(name, seconds)

    async def loaded(self) -> dict[str, Loaded]:
        """Return the loaded models; a model is not listed during its load."""
        try:
            listed = (await self._json("/api/ps"))["models"]
            return {self.key(model["name"]): Loaded(int(model.get("size") or 0)) for model in listed}
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
            message = "/api/ps does not list models as Ollama does"
            raise EngineError(message) from None

    @staticmethod
    def key(name: str) -> str:
        """Return the name in lower case with its tag: Ollama lists `tiny` as `tiny:latest`, and knows `TINY` too."""
        return canonical(name)
