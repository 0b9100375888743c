"""The paths that exist: an allow-list, because an engine has paths that no client should reach.

A path of inference is on it if its body is JSON that names the model, and if it changes nothing in the engine. So
uploads (/v1/audio/…), /props, /slots and /lora-adapters are not. engines/ holds the paths of each engine.

A request may reach the engine twice (exchange.py), so one that changes its state is not passed on, unless it is
idempotent, as operators' requests at a front are.
"""

from dataclasses import dataclass, field
from typing import Literal

from .pages import FILES
from .streams import ANTHROPIC, NDJSON, OPENAI, RESPONSES, Stream


@dataclass(frozen=True, slots=True)
class Route:
    """One path: its handler, and for `infer` the place of the model's name and the kind of its stream."""

    path: str
    method: str
    kind: Literal["infer", "proxy", "models", "explain", "pulls", "stats", "control", "page", "greeting"]
    operation: str
    """The OTel GenAI operation, or the path's own name."""
    fields: tuple[str, ...] = ("model",)
    values: tuple[str, ...] = ()
    """Members of the body that are load options (`infer` only)."""
    loads: bool = True
    """True if the engine has to load the model for it (`infer` only)."""
    stream: Stream | None = None
    changes: bool = False
    """True if it changes something. Its body must be declared as JSON: a web page cannot do so without a preflight."""
    engine_path: str = ""
    """The path that an engine has to answer, if it is another one."""
    line: bytes = field(init=False)
    """The request line to the engine for a request without a query."""

    def __post_init__(self) -> None:
        """Fill in the values that follow from the path."""
        path = self.engine_path or self.path
        object.__setattr__(self, "engine_path", path)
        object.__setattr__(self, "line", f"{self.method} {path} HTTP/1.1\r\n".encode("latin-1"))


_NATIVE = ("keep_alive", "options")
_COUNT = ("/v1/messages/count_tokens", "/v1/responses/input_tokens", "/v1/chat/completions/input_tokens")
_RERANK = ("/v1/rerank", "/v2/rerank", "/rerank", "/v1/reranking", "/reranking")
ROUTES = {
    route.path: route
    for route in (
        Route("/v1/chat/completions", "POST", "infer", "chat", stream=OPENAI),
        Route("/v1/completions", "POST", "infer", "text_completion", stream=OPENAI),
        Route("/v1/embeddings", "POST", "infer", "embeddings"),
        Route("/v1/responses", "POST", "infer", "chat", stream=RESPONSES),
        Route("/v1/messages", "POST", "infer", "chat", stream=ANTHROPIC),
        *(Route(path, "POST", "infer", "count_tokens") for path in _COUNT),
        *(Route(path, "POST", "infer", "rerank") for path in _RERANK),
        *(Route(path, "POST", "infer", "score") for path in ("/score", "/v1/score", "/classify", "/pooling")),
        *(Route(path, "POST", "infer", "tokenize") for path in ("/tokenize", "/detokenize", "/apply-template")),
        Route("/infill", "POST", "infer", "infill"),
        Route("/api/chat", "POST", "infer", "chat", values=_NATIVE, stream=NDJSON),
        Route("/api/generate", "POST", "infer", "text_completion", values=_NATIVE, stream=NDJSON),
        Route("/api/embed", "POST", "infer", "embeddings", values=_NATIVE),
        Route("/api/embeddings", "POST", "infer", "embeddings", values=_NATIVE),
        Route("/api/show", "POST", "infer", "show", fields=("model", "name"), loads=False),
        Route("/api/tags", "GET", "proxy", "tags"),
        Route("/api/ps", "GET", "proxy", "ps"),
        Route("/api/version", "GET", "proxy", "version"),
        Route("/v1/models", "GET", "models", "models"),
        Route("/api/llm/route", "POST", "explain", "route"),
        Route("/api/llm/stats", "GET", "stats", "stats"),
        Route("/api/llm/preload", "POST", "control", "preload", changes=True),
        Route("/api/llm/unload", "POST", "control", "unload", changes=True),
        Route("/api/llm/pin", "POST", "control", "pin", changes=True),
        *(Route(path, "GET", "page", "ui") for path in FILES),
        Route("/", "GET", "greeting", "greeting"),
    )
}
_ONE_MODEL = Route("/v1/models/{id}", "GET", "models", "models")

INFO = Route("/", "GET", "pulls", "info")
HEALTH = Route("/v1/health", "GET", "pulls", "health")
PULL = Route("/v1/api/pull", "POST", "pulls", "pull", changes=True)
GENERATE = Route("/v1/generate", "POST", "infer", "text_completion", stream=OPENAI, engine_path="/v1/completions")
PULLS = {route.path: route for route in (INFO, HEALTH, PULL, GENERATE)}
"""Routes that exist only with pulls."""

CATALOG_ONLY = ("/api/pull", "/api/create", "/api/delete", "/api/push", "/api/copy", "/api/blobs")
"""Ollama's paths that change the store: refused, because the plan in the stack's settings decides its content."""


def find_route(path: str) -> Route | None:
    """Return the route of a path; None for a path that is not in the list."""
    if path.startswith("/v1/models/") and len(path) > len("/v1/models/"):
        return _ONE_MODEL
    return ROUTES.get(path)


def is_catalog_only(path: str) -> bool:
    """Tell if the path is one of Ollama's that change the store."""
    return path in CATALOG_ONLY or path.startswith("/api/blobs/")
