"""The scheduler's record of one model."""

import asyncio
import contextlib
from typing import Protocol

from .policy import NEVER, ModelState, Phase

UNKNOWN = -1.0
"""Stands for an unknown keep-alive in the engine."""


class Waiter(Protocol):
    """Receives the outcome of a wait for a model."""

    def admitted(self, slot: "ModelSlot") -> None:
        """Take the model, which is loaded; `slot` counts one more request."""

    def refused(self, refusal: "RefusedError") -> None:
        """Take the refusal: the model is not coming."""


class RefusedError(Exception):
    """A model is not available to a request. Status, code and message form the response."""

    def __init__(self, status: int, code: str, message: str, retry_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_seconds = retry_seconds
        """Seconds after which a retry makes sense; None if it does not."""


class ModelSlot:
    """The state of one model. Only the scheduler writes it."""

    __slots__ = (
        "busy",
        "changed",
        "engine_keep_alive",
        "first",
        "keep_alive",
        "loaded",
        "name",
        "named",
        "not_before",
        "open",
        "phase",
        "pinned",
        "size",
        "took",
        "unload_waiters",
        "used",
        "waiting",
        "wanted",
    )

    def __init__(self, name: str, named: str, keep_alive: float) -> None:
        self.name = name
        self.named = named
        """The engine's name of the model."""
        self.phase = Phase.COLD
        self.open = False
        """Loaded, and new requests go straight to the engine. The hot path reads this field alone."""
        self.busy = 0
        self.waiting: dict[Waiter, float] = {}
        """Arrival time by waiter, the oldest first."""
        self.wanted = NEVER
        """Time at which it is loaded even if no request waits."""
        self.not_before = 0.0
        """Time before which its load is not tried again."""
        self.first = False
        """The gateway is not ready before this load has been tried."""
        self.used = self.loaded = self.took = 0.0
        self.keep_alive = keep_alive
        self.engine_keep_alive: float | None = UNKNOWN
        """The keep-alive that the engine was sent, in seconds; None for ever."""
        self.pinned = False
        self.unload_waiters: list[asyncio.Future[None]] = []
        """Futures of the callers that wait for its unload."""
        self.size = 0
        self.changed = 0.0
        """Time of the last change of phase. Older answers of the engine are ignored."""

    def enter(self, phase: Phase, now: float) -> None:
        """Change the phase and reset what belongs to the previous one."""
        self.phase, self.changed = phase, now
        self.open = False
        if phase is Phase.LOADED:
            self.used = self.loaded = now
            self.wanted, self.not_before, self.first = NEVER, 0.0, False
        elif phase is Phase.COLD:
            self.engine_keep_alive = UNKNOWN
            self.wanted = now if self.pinned else NEVER

    def answer_unload_waiters(self, refusal: RefusedError | None = None) -> None:
        """Tell the callers that wait for the unload: it is done, or refused."""
        for unloaded in self.unload_waiters:
            with contextlib.suppress(asyncio.InvalidStateError):  # the caller has gone
                if refusal is None:
                    unloaded.set_result(None)
                else:
                    unloaded.set_exception(refusal)
        self.unload_waiters.clear()

    def state(self) -> ModelState:
        """Return the snapshot that the policy reads."""
        return ModelState(
            name=self.name,
            phase=self.phase,
            busy=self.busy,
            wanted_since=max(self.not_before, min(self.wanted, next(iter(self.waiting.values()), NEVER))),
            last_used=self.used,
            loaded_at=self.loaded,
            load_seconds=self.took,
            keep_alive=self.keep_alive,
            pinned=self.pinned,
            unload_requested=bool(self.unload_waiters),
            size=self.size,
        )
