"""`POST /api/llm/preload`, `/unload` and `/pin`: requests of operators about loaded models, with a token."""

from pathlib import Path

from pydantic import ValidationError

from ..bearer import Token, TokenError
from ..config.base import Model as Document
from ..config.gateway import Auth
from ..http.answer import RETRY_SOON, Answer, document, error
from ..http.answering import Answering
from ..http.application import Outcome
from ..http.server import ServerConnection
from ..residency import operators
from ..residency.scheduler import Scheduler
from ..residency.slot import RefusedError
from .held import refusal
from .names import Names, Unknown, is_open
from .request import GatewayRequest
from .stats import engine_stats
from .upstreams import Upstreams

BODY_BYTES = 4096
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="larder"'),)
TOO_LARGE = error(
    413, "body_too_large", f"the body is larger than {BODY_BYTES} bytes. Fix: send the name of the model only"
)
NAME_IT = error(
    400, "model_required", "the body names no model. Fix: name one; rules apply to inference only", param="model"
)


class Wanted(Document):
    """The body: `{"model": …}`, and for /pin also `"pinned": false`, which removes the pin."""

    model: str
    pinned: bool = True


class Control:
    """Admits operators and carries out their requests. Raises TokenError if the token cannot be read."""

    def __init__(self, auth: Auth, names: Names, upstreams: Upstreams) -> None:
        self._names = names
        self._upstreams = upstreams
        self._open = auth.mutations == "open"
        self._token = Token(Path(auth.token_file)) if auth.token_file and not self._open else None

    def admit(self, request: GatewayRequest) -> Answer | None:
        """Refuse by the head alone."""
        if not self._open and self._token is None:
            message = "no token is configured for changes. Fix: name a Secret in larder:gateway.auth.secret"
            return error(403, "no_token_configured", message)
        given = [value for name, value in request.headers if name == b"authorization"]
        try:
            admitted = self._token is None or self._token.admits(given)
        except TokenError as reason:  # the file was there at the start
            return error(503, "token_unreadable", str(reason), headers=RETRY_SOON)
        if not admitted:
            return error(
                401, "unauthorized", "a token is required. Fix: send Authorization: Bearer …", headers=_CHALLENGE
            )
        if (request.content_length or 0) > BODY_BYTES:
            return TOO_LARGE
        return None

    def respond(self, request: GatewayRequest, client: ServerConnection) -> Outcome:
        """Carry the request out, and answer when it is done."""
        found = self._find_model(request)
        if isinstance(found, Answer):
            return found
        return Answering(self._carry_out(request.operation, *found), request, client)

    def _find_model(self, request: GatewayRequest) -> tuple[Scheduler, str, str, bool] | Answer:
        if len(request.body) > BODY_BYTES:  # sent in chunks, without its length
            return TOO_LARGE
        try:
            wanted = Wanted.model_validate_json(request.body)
        except ValidationError as reason:
            first = reason.errors()[0]
            problem = ": ".join([*(str(key)[:100] for key in first["loc"]), first["msg"]])
            return error(400, "bad_body", f'the body must be {{"model": …}}: {problem}')
        if is_open(wanted.model):
            return NAME_IT
        model = self._names.resolve(wanted.model)
        if isinstance(model, Unknown):
            return error(model.status, model.code, model.message, param="model")
        request.model = model.id
        upstream = self._upstreams.of(model.id)
        if upstream.residency is None:
            message = f"engine {upstream.adapter.kind} loads and unloads its models itself"
            return error(404, "no_residency", message, param="model")
        return upstream.residency, model.id, model.engine_name, wanted.pinned

    async def _carry_out(self, operation: str, residency: Scheduler, model: str, named: str, pinned: bool) -> Answer:
        try:
            if operation == "preload":
                await operators.preload(residency, model, named)
            elif operation == "unload":
                await operators.unload(residency, model, named)
            else:
                operators.pin(residency, model, named, pinned=pinned)
        except RefusedError as reason:
            return refusal(reason)
        (state,) = (one for one in engine_stats(residency)["models"] if one["model"] == model)
        return document(state)
