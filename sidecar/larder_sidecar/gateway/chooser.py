"""The choice of a model for a request that leaves it to us: by rule, else the default."""

from collections.abc import Generator, Iterator
from typing import NamedTuple
from urllib.parse import parse_qs

from ..config.gateway import GatewayConfig
from ..config.routing import DEFAULT
from ..http.answer import Answer, document, error
from ..http.request import Request
from ..routing.prompt import FIELDS
from ..routing.router import Considered, Router
from . import splice
from .names import Names, Unknown, is_open
from .routes import ROUTES
from .upstreams import Upstreams


class Chosen(NamedTuple):
    """The model that answers: its id, the engine's name for it, and the rule that chose it; '' if the client did."""

    id: str
    engine_name: str
    rule: str = ""


class Chooser:
    """Names and rules of the configuration in force."""

    def __init__(self, config: GatewayConfig, names: Names, upstreams: Upstreams) -> None:
        self._names = names
        self._upstreams = upstreams
        self._router = Router(config.routing)

    def read(self, config: GatewayConfig, router: Router) -> None:
        """Take the names and rules of a new configuration."""
        self._names.read(config)
        self._router = router
        for upstream in self._upstreams:
            if upstream.residency and config.residency:
                upstream.residency.read(config.residency)

    def named(self, name: str, rule: str = "") -> Chosen | Answer:
        """Return the model of that name, the default for ''. `rule` is the rule that chose it, '' if the client did."""
        model = self._names.resolve(name)
        if isinstance(model, Unknown):
            return error(model.status, model.code, model.message, param="model")
        return Chosen(model.id, model.engine_name, rule)

    def choose(self, request: Request, endpoint: str) -> Generator[None, None, Chosen | Answer]:
        """Choose by the rules if requests to `endpoint` have a prompt. Yields where a turn should end."""
        return self._of((yield from self._considered(request, endpoint)))

    def explain(self, request: Request) -> Generator[None, None, Answer]:
        """Explain the choice for a request with this body to `?endpoint=`, without running it.
        Yields where a turn should end.
        """
        endpoint = parse_qs(request.query).get("endpoint", ["/v1/chat/completions"])[0]
        if endpoint not in FIELDS or self._upstreams.speaking(endpoint) is None:
            here = ", ".join(path for path in FIELDS if self._upstreams.speaking(path))
            return error(404, "path_not_found", f"no model answers {endpoint[:100]}; endpoint is one of {here}")
        try:
            fields = yield from splice.scan(request.body, ROUTES[endpoint].fields)
        except splice.BodyError as reason:
            return error(400, "bad_body", str(reason))
        asked = fields["model"].text if "model" in fields else ""
        considered = (yield from self._considered(request, endpoint)) if is_open(asked) else []
        model = self._of(considered) if is_open(asked) else self.named(asked)
        if isinstance(model, Answer):
            return model
        upstream = self._upstreams.of(model.id)
        residency = upstream.residency.foresee(model.id, model.engine_name) if upstream.residency else None
        why = f"rule {model.rule!r} holds" if model.rule else f"the request names {asked[:100]!r}"
        if model.rule == DEFAULT:
            why = "no rule holds, and this is the default"
        return document(
            {
                "model": model.id,
                "engine": upstream.name,
                "engine_model": model.engine_name,
                "rule": model.rule or None,
                "why": why,
                "residency": residency,
                "considered": [
                    {"rule": c.rule, "model": c.model, "holds": not c.why_not, "why_not": c.why_not or None}
                    for c in considered
                ],
            }
        )

    def _considered(self, request: Request, endpoint: str) -> Generator[None, None, list[Considered]]:
        considered = []
        for one in self._consider(request, endpoint):
            if one is None:
                yield
            else:
                considered.append(one)
        return considered

    def _consider(self, request: Request, endpoint: str) -> Iterator[Considered | None]:
        if endpoint not in FIELDS:
            return iter(())
        return self._router.explain(endpoint, request.header, request.body, lambda name: self._speaks(name, endpoint))

    def _speaks(self, name: str, endpoint: str) -> bool:
        model = self._names.resolve(name)
        return not isinstance(model, Unknown) and self._upstreams.of(model.id).speaks(endpoint)

    def _of(self, considered: list[Considered]) -> Chosen | Answer:
        last = considered[-1] if considered else None
        return self.named(last.model, last.rule) if last and not last.why_not else self.named("", DEFAULT)
