"""A request whose model is not there yet: it waits, and then the exchange with the engine takes its place."""

from collections.abc import Callable

from ..residency.place import Place, RefusedError
from ..residency.scheduler import Scheduler
from .wire.answer import Answer, error
from .wire.application import Responder
from .wire.request import Request
from .wire.server import ServerConnection


def through(
    residency: Scheduler,
    client: ServerConnection,
    request: Request,
    named: str,
    carry: Callable[[], Responder | None],
) -> Responder | None:
    """Carry the request at once where its model is loaded, else when it is; `named` is the model by its engine."""
    place = residency.enter(request.model)
    if place is None:
        return Held(residency, client, request, carry).wait(named)
    request.place, request.queued = place, 0.0
    return carry()


class Held:
    """Waits in the scheduler's queue for as long as its client does."""

    def __init__(
        self, residency: Scheduler, client: ServerConnection, request: Request, carry: Callable[[], Responder | None]
    ) -> None:
        self._residency = residency
        self._client = client
        self._request = request
        self._carry = carry
        self._since = client.loop.time()
        self._place: Place | None = None
        self._exchange: Responder | None = None
        self._over = False

    def wait(self, named: str) -> "Held | None":
        """Begin; `named` is the model by its engine. None where too many wait already, and the client has heard so."""
        self._client.deadline = self._since + self._residency.config.wait_seconds
        try:
            self._place = self._residency.wait(self._request.model, named, self)
        except RefusedError as reason:
            self._client.answer(self._request, refusal(reason))
            return None
        return self

    # --- from the scheduler

    def admitted(self, place: Place) -> None:
        """Its turn."""
        self._request.place = place
        # The loop's clock ticks in milliseconds, and 0 would be a model that was there.
        self._request.queued = max(self._client.loop.time() - self._since, 1e-6)
        self._exchange = self._carry()

    def refused(self, reason: RefusedError) -> None:
        """The model did not come."""
        self._over = True
        self._client.answer(self._request, refusal(reason))

    # --- from the client

    def client_gone(self) -> None:
        """Give up the place in the queue, or what came of it."""
        if self._exchange is not None:
            self._exchange.client_gone()
        else:
            self._give_up()

    def pause(self) -> None:
        """The client reads slowly."""
        if self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        """The client has caught up."""
        if self._exchange is not None:
            self._exchange.resume()

    def expire(self) -> None:
        """It has waited for as long as anybody may."""
        if self._exchange is not None:
            self._exchange.expire()
            return
        self._give_up()
        seconds = self._residency.config.wait_seconds
        message = f"model {self._request.model!r} was not loaded within {seconds:g} s; others are in its way"
        self._client.answer(self._request, refusal(RefusedError(503, "model_wait_timeout", message, 10)))

    def _give_up(self) -> None:
        if self._place is not None and not self._over:
            self._over = True
            self._residency.cancel(self._place, self)


def refusal(reason: RefusedError) -> Answer:
    """What a client gets."""
    retry = ((b"retry-after", b"%d" % reason.retry_seconds),) if reason.retry_seconds else ()
    return error(reason.status, reason.code, reason.message, param="model", headers=retry)
