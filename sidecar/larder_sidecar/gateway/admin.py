"""The application behind port 9090: health, metrics and drain, for the kubelet and Prometheus only."""

from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from typing import Any

from ..config.gateway import DRAIN
from ..http.answer import Answer, document, error
from ..http.answering import Answering
from ..http.application import Responder
from ..http.request import Request
from ..http.server import ServerConnection
from ..log import Log
from .drain import Lifecycle
from .metrics import Metrics
from .reload import Reload
from .upstreams import Upstreams

METRICS_TYPE = b"text/plain; version=1.0.0; charset=utf-8"


class Admin:
    """The application behind port 9090. It answers GET only."""

    def __init__(
        self,
        upstreams: Upstreams,
        lifecycle: Lifecycle,
        metrics: Metrics,
        log: Log,
        reload: Reload | None,
        *,
        front: bool = False,
    ) -> None:
        self._reload = reload
        self._upstreams = upstreams
        self._front = front
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._log = log
        self._paths: dict[str, Callable[[], Coroutine[Any, Any, Answer]]] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/enginez": self._enginez,
            "/metrics": self._metrics_text,
            "/drain": self._drain,
        }

    request = Request

    def closing(self) -> bool:
        """Return False: probes keep their connections, also during a drain."""
        return False

    def admit(self, request: Request) -> Answer | None:
        """Refuse by path and method."""
        if request.path not in self._paths:
            return error(404, "path_not_found", f"admin paths: {', '.join(self._paths)}")
        if request.method not in ("GET", "HEAD"):
            return error(
                405,
                "method_not_allowed",
                f"{request.path} does not accept {request.method}. Fix: send GET",
                headers=((b"allow", b"GET, HEAD"),),
            )
        return _not_the_hook(request) if request.path == "/drain" else None

    def respond(self, request: Request, client: ServerConnection) -> Responder:
        """Start the answer as a task, so that none of them blocks the loop."""
        request.yields = request.path != "/drain"  # the kubelet stops the engine when that answer breaks off
        return Answering(self._paths[request.path](), request, client, goes_on=request.path == "/drain")

    def finished(self, request: Request) -> None:
        """Write a line at level debug: probes are noise otherwise."""
        self._log.say("debug", "admin", method=request.method, path=request.path[:200], status=request.status)

    def identify(self, request: Request) -> bytes:
        """Return no headers: these answers are for machines of the same cluster."""
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
        state = {"ready": ready, "draining": draining, "engines": engines, "first_loads_done": loaded}
        if self._reload and self._reload.problem:
            state["config"] = self._reload.problem
        return document(state, 200 if ready else 503)

    async def _enginez(self) -> Answer:
        engines = await self._upstreams.health()
        ok = all(engine["ok"] for engine in engines)
        return document({"ok": ok, "engines": engines}, 200 if ok else 503)

    async def _metrics_text(self) -> Answer:
        return Answer(200, self._metrics.text(), content_type=METRICS_TYPE)

    async def _drain(self) -> Answer:
        return document({"drained": True, "in_flight": await self._lifecycle.drain()})


def _not_the_hook(request: Request) -> Answer | None:
    """Return the refusal of a request to drain that the kubelet did not send; a web page must not be able to send it.

    Without the header a page needs no preflight (an image does that). With it, only a page of this very origin needs
    none, and such a page comes from a domain name that its owner points here (DNS rebinding).
    """
    name, value = DRAIN
    if request.header(name.encode()) != value.encode():
        return _refused(
            f"GET /drain acts only on requests with the header `{name}: {value}`, as the preStop hook sends it"
        )
    for header, _ in request.headers:
        if header in (b"origin", b"referer") or header.startswith(b"sec-fetch-"):
            return _refused(f"GET /drain refuses requests of web pages, and this one has `{header.decode('latin-1')}`")
    host = (request.host or b"").decode("latin-1").rpartition("@")[2]
    if _is_domain(host):
        return _refused(f"GET /drain must be sent to the pod's address, not to {host[:100]!r}")
    return None


def _refused(message: str) -> Answer:
    return error(403, "drain_refused", message)


def _is_domain(host: str) -> bool:
    """Tell if a host is a public DNS name, which anybody may point here: it has a dot and is not an address."""
    name = host.rstrip(".") if host.startswith("[") else host.partition(":")[0].rstrip(".")
    try:
        ip_address(name.strip("[]").partition("]")[0])
    except ValueError:
        return "." in name
    return False
