"""A request that waits for its model to load; then the exchange with the engine takes its place."""

import asyncio
from typing import Protocol

from ..http.answer import Answer, error, going_away
from ..http.application import Responder
from ..http.server import ServerConnection
from ..residency.scheduler import Scheduler
from ..residency.slot import ModelSlot, RefusedError
from . import splice
from .exchange import stream_head
from .request import GatewayRequest
from .streams import Stream

_COMMENT = b": loading\n"
"""Comment line of a heartbeat. With a blank line after it, openai-go takes it for an event without data."""
_LOADING = b"%x\r\n%b\r\n" % (len(_COMMENT), _COMMENT)

_SCAN_PAUSE = 0.005
"""Seconds between two slices of the scan of a long body for `stream`."""


class Carry(Protocol):
    """Sends the request to the engine."""

    def __call__(self, *, begun: bool = False) -> Responder:
        """Send it. `begun`: the client has its 200 already."""


def enter_loaded(residency: Scheduler, request: GatewayRequest, keep_alive: float | None) -> bool:
    """Tell if the model of the request is loaded; if so, count the request on it.

    `keep_alive` is the one granted to its client, in seconds.
    """
    slot = residency.enter(request.model)
    if slot is None:
        return False
    request.slot, request.queued = slot, 0.0
    if keep_alive is not None:
        residency.keep(slot, keep_alive)
    return True


class Held:
    """Waits in the scheduler's queue as long as its client does."""

    def __init__(
        self,
        residency: Scheduler,
        client: ServerConnection,
        request: GatewayRequest,
        stream: Stream | None,
        carry: Carry,
        keep_alive: float | None,
    ) -> None:
        self._residency = residency
        self._client = client
        self._request = request
        self._stream = stream
        self._carry = carry
        self._keep_alive = keep_alive
        self._since = client.loop.time()
        self._slot: ModelSlot | None = None
        self._exchange: Responder | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._steps = splice.scan(request.body, (), ("stream",))
        self._begun = False
        """True if the client has its 200."""

    def wait(self, named: str) -> "Held | Answer":
        """Join the queue for the engine's model `named`, or return the refusal of a full queue."""
        config = self._residency.config
        self._client.deadline = self._since + config.wait_seconds
        try:
            self._slot = self._residency.wait(self._request.model, named, self)
        except RefusedError as reason:
            return refusal(reason)
        if config.heartbeat_seconds and self._stream and self._stream.framing == "sse" and self._request.minor:
            self._timer = self._client.loop.call_later(config.heartbeat_seconds, self._beat)
        return self

    # --- from the scheduler

    def admitted(self, slot: ModelSlot) -> None:
        """Carry the request to the engine: its model is loaded."""
        self._quiet()
        self._slot = None
        self._request.slot = slot
        # The loop's clock ticks in milliseconds, and 0 would mean that the model was loaded.
        self._request.queued = max(self._client.loop.time() - self._since, 1e-6)
        if self._keep_alive is not None:
            self._residency.keep(slot, self._keep_alive)
        self._exchange = self._carry(begun=self._begun)

    def refused(self, reason: RefusedError) -> None:
        """Answer with the reason: its model will not be loaded."""
        self._quiet()
        self._slot = None
        if not self._begun or self._stream is None:
            self._client.answer(self._request, refusal(reason))
            return
        self._request.code = reason.code
        fault = self._stream.failure(reason.message, b"\n\n")
        self._client.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(fault), fault))
        self._client.finish(keep=self._client.keeps(self._request))

    # --- from the client

    def client_gone(self) -> None:
        """Leave the queue, or cancel the exchange."""
        if self._exchange is not None:
            self._exchange.client_gone()
        else:
            self._give_up()

    def pause(self) -> None:
        """Pause the exchange, if it has begun."""
        if self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        """Resume the exchange, if it has begun."""
        if self._exchange is not None:
            self._exchange.resume()

    def expire(self) -> None:
        """Refuse the request after the longest wait; a begun exchange expires itself."""
        if self._exchange is not None:
            self._exchange.expire()
            return
        self._give_up()
        seconds = self._residency.config.wait_seconds
        message = f"model {self._request.model!r} was not loaded within {seconds:g} s: other models are in use"
        self.refused(RefusedError(503, "model_wait_timeout", f"{message}. Fix: try again", 10))

    # --- inside

    def _beat(self) -> None:
        """Send a heartbeat to a client that asked for a stream."""
        if not self._begun:
            try:
                next(self._steps)
            except StopIteration as found:
                if not splice.is_true(self._request.body, found.value, "stream"):
                    return
            except splice.BodyError:  # the member is there twice
                return
            else:
                self._timer = self._client.loop.call_later(_SCAN_PAUSE, self._beat)
                return
            self._begun = True
            self._request.status = 200
            extra = self._client.identify(self._request) + b"x-larder-cache: miss\r\n"
            self._client.write(stream_head(extra, keep=self._client.keeps(self._request)))
        if not self._client.paused:
            self._client.write(_LOADING)
        self._timer = self._client.loop.call_later(self._residency.config.heartbeat_seconds, self._beat)

    def _quiet(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._quiet()
        if self._slot is not None:
            self._residency.cancel(self._slot, self)
            self._slot = None


def refusal(reason: RefusedError) -> Answer:
    """Return the answer to a client whose request was refused."""
    if reason.code == "draining":
        return going_away()
    retry = ((b"retry-after", b"%d" % reason.retry_seconds),) if reason.retry_seconds else ()
    return error(reason.status, reason.code, reason.message, param="model", headers=retry)
