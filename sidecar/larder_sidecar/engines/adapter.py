"""Base class of adapters: the questions that the gateway asks of any engine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol


class Ask(Protocol):
    """A request of the gateway's own. Raises OSError: refused, broken, or slower than `seconds`."""

    async def __call__(
        self, path: str, body: Mapping[str, object] | None = None, *, seconds: float = 2.0
    ) -> tuple[int, bytes]:
        """Return status and body; send POST if there is a body."""


@dataclass(frozen=True, slots=True)
class Health:
    """The state of an engine, with its own message."""

    ok: bool
    detail: str


class EngineError(Exception):
    """The error for a refusal, or an undocumented answer, of the engine; the message is the engine's own."""


COMMON = frozenset(("/v1/chat/completions", "/v1/completions", "/v1/messages"))
"""Paths that every engine answers."""
EMBEDDING = frozenset(("/v1/embeddings", "/v1/responses"))
COUNTING = frozenset(("/v1/messages/count_tokens", "/tokenize", "/detokenize"))
RERANKING = frozenset(("/v1/rerank", "/rerank"))


class Adapter:
    """One engine, reached through `ask`. A subclass holds the facts of its engine."""

    kind: ClassVar[str]
    health_path: ClassVar[str]
    """Path that answers 200 as soon as the engine can take requests."""
    names_path: ClassVar[str] = "/v1/models"
    """Path that lists models as OpenAI does."""
    paths: ClassVar[frozenset[str]]
    """Paths of the gateway that the engine itself serves."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def speaks(self, path: str) -> bool:
        """Tell if it serves a path."""
        return path in self.paths

    async def health(self) -> Health:
        """Ask `health_path`."""
        try:
            status, body = await self._ask(self.health_path)
        except OSError as reason:
            return Health(ok=False, detail=f"no answer: {reason or type(reason).__name__}")
        return Health(ok=status == 200, detail=f"{status} {body[:80].decode(errors='replace').strip()}".strip())

    async def names(self) -> frozenset[str]:
        """Return the models it can serve now, under its own names; none if its answer cannot be read."""
        try:
            return frozenset(str(model["id"]) for model in (await self._json(self.names_path))["data"])
        except (OSError, EngineError, KeyError, TypeError):
            return frozenset()

    async def _json(self, path: str, body: Mapping[str, object] | None = None, *, seconds: float = 2.0) -> Any:  # noqa: ANN401 (whatever it sends)
        """Return the document of a 200 answer. Raises OSError, EngineError."""
        status, text = await self._ask(path, body, seconds=seconds)
        if status != 200:
            raise EngineError(describe_failure(status, text))
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            message = f"{path} answered no JSON"
            raise EngineError(message) from None


def describe_failure(status: int, body: bytes) -> str:
    """Return the engine's own account of a failure: the message of its error, or the beginning of its answer."""
    try:
        reason = json.loads(body)["error"]
        reason = reason["message"] if isinstance(reason, dict) else reason
    except (ValueError, KeyError, TypeError, RecursionError):
        reason = body.decode(errors="replace")
    return f"{status} {str(reason).strip()[:300]}".strip()
