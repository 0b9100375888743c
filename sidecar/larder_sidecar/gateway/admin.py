"""The application behind port 9090: health, metrics and drain, for the kubelet and Prometheus only."""

from collections.abc import Callable, Coroutine
from typing import Any

from .drain import Lifecycle
from .journal import Journal
from .metrics import Metrics
from .reload import Reload
from .upstreams import Upstreams
from .wire.answer import Answer, document, error
from .wire.answering import Answering
from .wire.application import Responder
from .wire.request import Request
from .wire.server import ServerConnection

METRICS_TYPE = b"text/plain; version=1.0.0; charset=utf-8"


class Admin:
    """GET only."""

    def __init__(
        self,
        upstreams: Upstreams,
        lifecycle: Lifecycle,
        metrics: Metrics,
        journal: Journal,
        reload: Reload | None,
        *,
        front: bool = False,
    ) -> None:
        self._reload = reload
        self._upstreams = upstreams
        self._front = front
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._journal = journal
        self._paths: dict[str, Callable[[], Coroutine[Any, Any, Answer]]] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/enginez": self._enginez,
            "/metrics": self._metrics_text,
            "/drain": self._drain,
        }

    def closing(self) -> bool:
        """Probes keep their connections, also while draining."""
        return False

    def admit(self, request: Request) -> Answer | None:
        """Refuse by path and method."""
        if request.path not in self._paths:
            return error(404, "path_not_found", f"admin paths: {', '.join(self._paths)}")
        if request.method not in ("GET", "HEAD"):
            return error(405, "method_not_allowed", f"{request.path} takes GET", headers=((b"allow", b"GET, HEAD"),))
        return None

    def respond(self, request: Request, client: ServerConnection) -> Responder:
        """Start the answer; none of them keeps the loop."""
        return Answering(self._paths[request.path](), request, client, goes_on=request.path == "/drain")

    def finished(self, request: Request) -> None:
        """Probes are noise, except to somebody who looks for them."""
        self._journal.say("debug", "admin", method=request.method, path=request.path[:200], status=request.status)

    def identify(self, request: Request) -> bytes:
        """Nothing: these answers are for machines of the same cluster."""
        del request
        return b""

    async def _livez(self) -> Answer:
        return document({"status": "ok"})

    async def _readyz(self) -> Answer:
        draining = self._lifecycle.closing
        # A front is ready whatever its engines do: an unready one would turn answers with a reason, and the models of
        # every other engine, into refused connections.
        engines = [] if self._front else await self._upstreams.health()
        loaded = all(upstream.residency.ready for upstream in self._upstreams if upstream.residency)
        ready = not draining and loaded and all(engine["ok"] for engine in engines)
        told = {"ready": ready, "draining": draining, "engines": engines, "first_loads_done": loaded}
        if self._reload and self._reload.problem:
            told["config"] = self._reload.problem
        return document(told, 200 if ready else 503)

    async def _enginez(self) -> Answer:
        engines = await self._upstreams.health()
        ok = all(engine["ok"] for engine in engines)
        return document({"ok": ok, "engines": engines}, 200 if ok else 503)

    async def _metrics_text(self) -> Answer:
        return Answer(200, self._metrics.text(), content_type=METRICS_TYPE)

    async def _drain(self) -> Answer:
        return document({"drained": True, "in_flight": await self._lifecycle.drain()})
