"""How much may fail: attempts of a download at its source, and tries of the whole work after them."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from .errors import BusyError, FetchError, TransientError

STALL_BYTES = 64 * 1024
"""Fewer bytes than this within the stall time count as none: a trickle holds a pod for ever otherwise."""

_DOUBLINGS = 16


@dataclass(frozen=True)
class Patience:
    """How much a source may fail. Times in seconds."""

    stall_seconds: float = 30.0
    failures: int = 5
    """Attempts in a row without a new byte."""
    first_wait: float = 1.0
    longest_wait: float = 30.0
    window_seconds: float = 3600.0
    """Waits in all, without a new byte, that a host asks for by saying when its rate limit ends. They are no failures:
    a window of minutes, which others behind the same address use up too, may come several times."""

    def wait(self, failures: int, asked: float) -> float:
        """Before the next attempt: doubled each time, with jitter so that many pods do not return at once."""
        backoff = min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1))
        # Before the end of a window nobody may ask: the jitter comes after it.
        asked *= 1 + random.random() / 10  # noqa: S311 (jitter, no secret)
        return max(asked, backoff * (0.5 + random.random() / 2))  # noqa: S311


def window(error: TransientError) -> bool:
    """Tell whether a host has said when it may be asked again."""
    return isinstance(error, BusyError) and error.wait > 0


class Tries:
    """The failures in a row of one download, whose connections fail together when their source does."""

    def __init__(self, patience: Patience) -> None:
        self._patience, self._lock = patience, threading.Lock()
        self._failures, self._reached, self._last = 0, 0, 0.0
        self._windows, self._waited = 0, 0.0

    def failed(self, error: TransientError, *, began: float, progress: int) -> float | None:
        """Seconds to wait; None where the attempt, which `began` then, failed along with one that is counted already.

        `progress` is how many bytes are here. Raises `error` where it is one too many.
        """
        with self._lock:
            if began < self._last:
                return None
            self._last = time.monotonic()
            if progress - self._reached >= STALL_BYTES:
                self._failures, self._windows, self._waited = 0, 0, 0.0
            self._reached = max(self._reached, progress)
            wait = self._window(error) if window(error) else self._failure(error)
            if wait is None:
                raise error.after(progress)
            return wait

    def _failure(self, error: TransientError) -> float | None:
        self._failures += 1
        more = self._failures < self._patience.failures
        return self._patience.wait(self._failures, error.wait) if more else None

    def _window(self, error: TransientError) -> float | None:
        self._windows += 1
        wait = self._patience.wait(min(self._windows, _DOUBLINGS), error.wait)
        self._waited += wait
        return wait if self._waited <= self._patience.window_seconds else None


T = TypeVar("T")
PAUSES = Patience(first_wait=4.0, longest_wait=60.0)
"""Pauses between tries. Within a try, each download has a patience of its own."""


def again(
    work: Callable[[float], T],
    *,
    seconds: float,
    failed: Callable[[FetchError, float], None],
    pauses: Patience = PAUSES,
) -> T:
    """Return the result of `work`; begin it again for up to `seconds` while it fails with an error that may go away.

    `work` gets the seconds that are left, `failed` each such error and the pause, in seconds, that follows. Raises
    FetchError: a lasting one at once, any other when the next try would begin too late.
    """
    end, failures = time.monotonic() + seconds, 0
    while True:
        try:
            return work(max(0.0, end - time.monotonic()))
        except FetchError as error:
            failures += 1
            asked = error.wait if isinstance(error, TransientError) else 0.0
            pause = pauses.wait(min(failures, _DOUBLINGS), asked)
            if error.lasting or time.monotonic() + pause > end:
                raise
            failed(error, pause)
        time.sleep(pause)
