"""The gateway's policy: which requests pass, which model answers, and which answers need no engine."""

import functools
import itertools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

from ..config import gateway as config
from ..http.answer import RETRY_SOON, TURNED_AWAY, Answer, document, error, going_away
from ..http.answering import Answering
from ..http.application import Outcome, Responder
from ..http.headers import TO_ENGINE, header_value
from ..http.request import take_id
from ..http.server import ServerConnection
from ..log import Log
from ..residency.load_options import LoadOptions, LoadOptionsError
from . import splice
from .chooser import Chooser, Chosen
from .control import NAME_IT, Control
from .drain import Lifecycle
from .exchange import Exchange
from .generation import Generation
from .held import Held, enter_loaded
from .metrics import Metrics
from .names import Model, Names, Unknown, is_open
from .origins import Origins
from .pages import greeting, page
from .pull_stream import refusal
from .request import GatewayRequest
from .routes import GENERATE, PULLS, Route, find_route, is_catalog_only
from .stats import collect_stats
from .stop import answer_stop, is_stop
from .turns import Steps, Turns
from .upstreams import Upstream, Upstreams

if TYPE_CHECKING:
    from .pulls import Pulls

Handler: TypeAlias = Callable[[GatewayRequest, ServerConnection, Route], Outcome]
DOUBTFUL = frozenset(("engine_unavailable", "engine_failed", "engine_timeout", "engine_error", "truncated_closed"))
"""Outcomes of a request after which the engine's loaded models may have changed."""
NO_OPTIONS = LoadOptions(None, splice.NOTHING)
_AT_ONCE = b"x-larder-cache: hit\r\nx-larder-queue-ms: 0\r\n"


class Gateway:
    """The application behind port 8080."""

    def __init__(
        self,
        names: Names,
        chooser: Chooser,
        role: config.Role,
        upstreams: Upstreams,
        pulls: "Pulls | None",
        origins: Origins,
        control: Control,
        lifecycle: Lifecycle,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._names = names
        self._chooser = chooser
        self._role = role
        self._upstreams = upstreams
        self._pulls = pulls
        self._origins = origins
        self._control = control
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._log = log
        self._turns = Turns()
        self._ids = itertools.count(1)
        self._handlers: dict[str, Handler] = {
            "infer": self._infer,
            "proxy": self._proxy,
            # A front passes operators' requests on.
            "control": self._infer if role == "front" else lambda request, client, _: control.respond(request, client),
            "explain": lambda request, client, _: self._turns.run(self._chooser.explain(request), request, client),
            "models": lambda request, _, __: self._models(request.path),
            "page": lambda request, _, __: page(request.path),
            "greeting": lambda _, __, ___: greeting(native=upstreams.speaking("/api/tags") is not None),
            "stats": lambda request, client, _: Answering(collect_stats(upstreams, metrics.rules_hit), request, client),
        }
        if pulls:
            self._handlers["pulls"] = lambda request, client, _: pulls.respond(request, client, self.identify(request))
        self._id_prefix = f"req-{os.urandom(6).hex()}-".encode()

    # --- the protocol of an application

    request = GatewayRequest

    def closing(self) -> bool:
        """Tell if every response says `Connection: close`."""
        return self._lifecycle.closing

    def admit(self, request: GatewayRequest) -> Answer | None:
        """Refuse by origin, path and method, before a body is read."""
        if (judged := self._origins.judge(request)) is not None:
            return judged
        if self._lifecycle.refusing:
            return going_away()
        route = PULLS.get(request.path) if self._pulls else None
        route = route or find_route(request.path)
        if route and route.kind == "explain" and self._role == "behind":
            return error(404, "path_not_found", "the front chooses the model. Fix: send this request to the front")
        if route is None or (route.kind in ("infer", "proxy") and self._upstreams.speaking(route.engine_path) is None):
            return self._refuse_unknown(request.path, route)
        request.operation = route.operation
        request.route = route
        if request.method != route.method and (request.method, route.method) != ("HEAD", "GET"):
            allowed = "GET, HEAD" if route.method == "GET" else route.method
            message = f"{request.path[:100]} does not accept {request.method}. Fix: send {allowed}"
            headers = ((b"allow", allowed.encode()),)
            if route.kind == "pulls":
                return refusal(405, message, headers=headers)
            return error(405, "method_not_allowed", message, headers=headers)
        return self._admit_service(request, route) if route.kind in ("pulls", "control") else None

    def respond(self, request: GatewayRequest, client: ServerConnection) -> Outcome:
        """Answer from here, or carry the request to the engine."""
        route = request.route
        if route is None:  # admit has refused it already
            return error(404, "path_not_found", "no such path")
        return self._handlers[route.kind](request, client, route)

    def finished(self, request: GatewayRequest) -> None:
        """Count the request and write its line."""
        seconds = request.seconds()
        if (slot := request.slot) and (residency := self._upstreams.of(request.model).residency):
            residency.leave(slot, doubtful=request.status >= 500 or request.code in DOUBTFUL)
        self._metrics.request(request.operation or "other", request.model, request.code or str(request.status), seconds)
        self._log.request(request, request.id or self._id(request), seconds)

    def identify(self, request: GatewayRequest) -> bytes:
        """Return `x-request-id`, the headers for browsers, and `x-larder-model` once it is known."""
        if request.cors is None:  # refused before `admit`, perhaps before all headers were read
            request.by_browser = True
            self._origins.judge(request)
            take_id(request, request.header(b"x-request-id"))
        lines = b"x-request-id: %b\r\n" % (request.id or self._id(request))
        if request.model:
            lines += b"x-larder-model: %b\r\n" % header_value(request.model)
        if request.cors:
            lines += request.cors
        if request.rule:
            lines += b"x-larder-rule: %b\r\n" % header_value(request.rule)
        if request.queued == 0:
            lines += _AT_ONCE
        elif request.queued > 0:
            lines += b"x-larder-cache: miss\r\nx-larder-queue-ms: %d\r\n" % (request.queued * 1000)
        return lines

    # --- inside

    def _admit_service(self, request: GatewayRequest, route: Route) -> Answer | None:
        refused = None
        if self._pulls and route.kind == "pulls":
            refused = self._pulls.admit(request)
        elif self._role != "front":
            # Behind a front, the gateway in the engine's pod checks the token.
            refused = self._control.admit(request)
        if refused is None and route.changes and not request.is_json():
            refused = error(
                415, "json_wanted", f"{request.path} accepts JSON only. Fix: send Content-Type: application/json"
            )
        return refused

    def _refuse_unknown(self, path: str, route: Route | None) -> Answer:
        if is_catalog_only(path):
            message = "models come from the catalog. Fix: add the id to larder:models and run `pulumi up`"
            return error(403, "catalog_only", message)
        kinds = " and ".join(sorted({upstream.adapter.kind for upstream in self._upstreams}))
        what = f"engine {kinds} does not answer" if route else "no such path:"
        return error(404, "path_not_found", f"{what} {path[:100]}")

    def _id(self, request: GatewayRequest) -> bytes:
        """Return a new id, for a client that sent none."""
        request.id = self._id_prefix + b"%d" % next(self._ids)
        return request.id

    def _infer(self, request: GatewayRequest, client: ServerConnection, route: Route) -> Outcome:
        """Find the model of the request, and carry the request to its engine.

        Nearly every body begins with its model, and needs no other turn of the loop.
        """
        fields = splice.at_once(request.body, route.fields, route.values)
        model = self._find_named(request, route, fields["model"].text) if fields else None
        if fields is None or model is None:
            return self._turns.run(self._infer_in_turns(request, client, route, fields), request, client)
        if isinstance(model, Answer):
            return model
        upstream = self._upstream(request, route, model)
        if isinstance(upstream, Answer):
            return upstream
        return self._hand_on(request, client, route, upstream, model.engine_name, fields, NO_OPTIONS)

    def _infer_in_turns(
        self, request: GatewayRequest, client: ServerConnection, route: Route, fields: splice.Fields | None
    ) -> Steps:
        """Do the same for every other body, and for one whose `fields` are known and leave the choice to rules."""
        model = None
        if fields is None:
            try:
                fields = yield from splice.scan(request.body, route.fields, route.values)
            except splice.BodyError as reason:
                return error(400, "bad_body", str(reason))
            model = self._find_named(request, route, _model_name(fields, route))
        if model is None:
            model = yield from self._chooser.choose(request, route.engine_path)
        if isinstance(model, Answer):
            return model
        upstream = self._upstream(request, route, model)
        if isinstance(upstream, Answer):
            return upstream
        load_members = _load_members(request.body, fields, route.values) if route.values else splice.NOTHING
        options = NO_OPTIONS
        if upstream.residency and load_members:
            try:
                options = upstream.residency.load_options(model.id, model.engine_name, load_members)
                stops = yield from is_stop(route.path, request.body, load_members)
            except LoadOptionsError as reason:
                return error(400, "bad_keep_alive", str(reason), param="keep_alive")
            if stops:
                return answer_stop(upstream.residency, route.path, model.id, model.engine_name, options)
        elif load_members:
            fields = {name: field for name, field in fields.items() if name not in load_members}
        return self._hand_on(request, client, route, upstream, model.engine_name, fields, options)

    def _find_named(self, request: GatewayRequest, route: Route, named: str) -> Chosen | Answer | None:
        """Return the model by the front's choice, else by the name in the body; None if rules choose."""
        if route.kind == "control" and is_open(named):
            return NAME_IT
        # Only the front reaches this gateway, and it has chosen already.
        if self._role == "behind" and (chosen := request.header(b"x-larder-model").decode("latin-1")):
            model = self._chooser.named(chosen)
            if isinstance(model, Chosen):
                return model
            # The front and this gateway come from two deployments, one of which is about to end.
            message = f"model {chosen[:100]!r} is moving to another engine. Fix: try again"
            return error(503, "model_moving", message, param="model", headers=(*RETRY_SOON, TURNED_AWAY))
        return None if is_open(named) else self._chooser.named(named)

    def _upstream(self, request: GatewayRequest, route: Route, model: Chosen) -> Upstream | Answer:
        """Return the engine of the chosen model, or a refusal if it does not know the path."""
        request.model, request.rule = model.id, model.rule
        if model.rule:
            self._metrics.routed(model.rule)
        upstream = self._upstreams.of(model.id)
        if not upstream.speaks(route.engine_path):
            return _refuse_path(request, upstream.adapter.kind)
        return upstream

    def _hand_on(
        self,
        request: GatewayRequest,
        client: ServerConnection,
        route: Route,
        upstream: Upstream,
        engine_name: str,
        fields: splice.Fields,
        options: LoadOptions,
    ) -> Outcome:
        """Send the request to its engine, at once if the model is there."""
        body = splice.replace(request.body, fields, engine_name, options.members)
        residency, keep_alive = upstream.residency, options.keep_alive
        if residency is None or not route.loads or enter_loaded(residency, request, keep_alive):
            return self._carry(request, client, route, upstream, body)
        carry = functools.partial(self._carry, request, client, route, upstream, body)
        return Held(residency, client, request, route.stream, carry, keep_alive).wait(engine_name)

    def _proxy(self, request: GatewayRequest, client: ServerConnection, route: Route) -> Outcome:
        """Carry the request to the first engine that serves the path, for any model."""
        upstream = self._upstreams.speaking(route.path)
        if upstream is None:  # admit has refused it already
            return self._refuse_unknown(request.path, route)
        return self._carry(request, client, route, upstream, [])

    def _carry(
        self,
        request: GatewayRequest,
        client: ServerConnection,
        route: Route,
        upstream: Upstream,
        body: list[bytes | memoryview],
        *,
        begun: bool = False,
    ) -> Responder:
        wire = self._wire(request, route, body, upstream)
        kind = Generation if route is GENERATE else Exchange
        exchange = kind(upstream.line, client, request, wire, self.identify(request), route.stream, begun=begun)
        exchange.start()
        return exchange

    def _wire(
        self, request: GatewayRequest, route: Route, body: list[bytes | memoryview], upstream: Upstream
    ) -> list[bytes | memoryview]:
        """Return the request as the engine gets it."""
        line = route.line
        if request.query:
            line = f"{route.method} {route.engine_path}?{request.query} HTTP/1.1\r\n".encode("latin-1")
        head = [
            line,
            b"host: %b\r\nx-request-id: %b\r\n" % (upstream.pool.authority, request.id or self._id(request)),
            *TO_ENGINE.lines(request.headers),
        ]
        if route.kind == "control":  # at the front: the next gateway checks it
            head += [b"authorization: %b\r\n" % value for name, value in request.headers if name == b"authorization"]
        if self._role == "front" and request.model:
            head.append(b"x-larder-model: %b\r\n" % header_value(request.model))
        size = sum(map(len, body))
        if route.method == "POST":
            head.append(b"content-length: %d\r\n" % size)
        head.append(b"\r\n")
        if size <= splice.SMALL:
            return [b"".join((*head, *body))]
        return [b"".join(head), *body]

    def _models(self, path: str) -> Answer:
        if path == "/v1/models":
            return document({"object": "list", "data": [_describe(m) for m in self._names.models]})
        model = self._names.resolve(unquote(path.removeprefix("/v1/models/")))
        if isinstance(model, Unknown):
            return error(model.status, model.code, model.message, param="model")
        return document(_describe(model))


def _load_members(body: bytes, fields: splice.Fields, values: tuple[str, ...]) -> dict[str, bytes]:
    """Return the members with load options, as the client wrote them."""
    return {name: body[fields[name].start : fields[name].end] for name in values if name in fields}


def _model_name(fields: splice.Fields, route: Route) -> str:
    """Return the first model name in the body, '' for none."""
    for name in route.fields:
        if name in fields and fields[name].text:
            return fields[name].text
    return ""


def _refuse_path(request: GatewayRequest, kind: str) -> Answer:
    message = f"model {request.model!r} is on engine {kind}, which does not answer {request.path[:100]}"
    return error(400, "api_not_served", f"{message}. Fix: use another path or model", param="model")


def _describe(model: Model) -> dict[str, str | int]:
    # The date of open weights is unknown; OpenAI's clients require an integer.
    return {"id": model.id, "object": "model", "created": 0, "owned_by": "larder"}
