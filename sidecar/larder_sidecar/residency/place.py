"""One model's place in the engine, as the scheduler keeps it."""

import asyncio
import contextlib
from typing import Protocol

from .policy import NEVER, Phase, Seen

UNTOLD = -1.0
"""Nobody knows which keep-alive the engine has for a model."""


class Waiting(Protocol):
    """Whoever waits for a model."""

    def admitted(self, place: "Place") -> None:
        """The model is loaded, and its place counts one more request."""

    def refused(self, refusal: "RefusedError") -> None:
        """It will not be."""


class RefusedError(Exception):
    """Why a model is not there for a request; status, code and message are the answer."""

    def __init__(self, status: int, code: str, message: str, retry_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_seconds = retry_seconds
        """When it is worth another try; None where it is not."""


class Place:
    """What is known of a model. The scheduler alone writes it."""

    __slots__ = (
        "busy",
        "changed",
        "farewells",
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
        "told",
        "took",
        "used",
        "waiting",
        "wanted",
    )

    def __init__(self, name: str, named: str, keep_alive: float) -> None:
        self.name = name
        self.named = named
        """By the engine."""
        self.phase = Phase.COLD
        self.open = False
        """Loaded, and requests go straight to it: all that a request looks at when nothing is to be done."""
        self.busy = 0
        self.waiting: dict[Waiting, float] = {}
        """With the moment each came, the oldest first."""
        self.wanted = NEVER
        """When it is to be loaded though nobody waits."""
        self.not_before = 0.0
        """When its load may be tried again, whoever waits."""
        self.first = False
        """Whether the gateway is not ready before its load has been tried."""
        self.used = self.loaded = self.took = 0.0
        self.keep_alive = keep_alive
        self.told: float | None = UNTOLD
        """The engine's own keep-alive for it, None for ever."""
        self.pinned = False
        self.farewells: list[asyncio.Future[None]] = []
        """Of those who said that it is to go."""
        self.size = 0
        self.changed = 0.0
        """When its phase changed last: what the engine said before that is old."""

    def enter(self, phase: Phase, now: float) -> None:
        """It is in another phase from now on, and what was wished of the one before is over."""
        self.phase, self.changed = phase, now
        self.open = False
        if phase is Phase.LOADED:
            self.used = self.loaded = now
            self.wanted, self.not_before, self.first = NEVER, 0.0, False
        elif phase is Phase.COLD:
            self.told = UNTOLD
            self.wanted = now if self.pinned else NEVER

    def parted(self, refusal: RefusedError | None = None) -> None:
        """Tell those who wanted it gone that it is, or why not."""
        for farewell in self.farewells:
            with contextlib.suppress(asyncio.InvalidStateError):  # whoever waited has gone
                if refusal is None:
                    farewell.set_result(None)
                else:
                    farewell.set_exception(refusal)
        self.farewells.clear()

    def seen(self) -> Seen:
        """For the policy."""
        return Seen(
            name=self.name,
            phase=self.phase,
            busy=self.busy,
            asked=max(self.not_before, min(self.wanted, next(iter(self.waiting.values()), NEVER))),
            used=self.used,
            loaded=self.loaded,
            took=self.took,
            keep_alive=self.keep_alive,
            pinned=self.pinned,
            leaving=bool(self.farewells),
            size=self.size,
        )
