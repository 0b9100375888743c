"""Retries: attempts of a download at its source, and tries of the whole work after them."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from .errors import BusyError, FetchError, TransientError
from .progress import JsonValue, Reporter

T = TypeVar("T")
STALL_BYTES = 64 * 1024
"""Bytes that must come within the stall time; fewer count as none, or a trickle would hold a pod for ever."""

_DOUBLINGS = 16


@dataclass(frozen=True)
class Patience:
    """Limits for the failures of a source. Times are in seconds."""

    stall_seconds: float = 30.0
    failures: int = 5
    """Attempts in a row without a new byte."""
    first_wait: float = 1.0
    longest_wait: float = 30.0
    window_seconds: float = 3600.0
    """Total wait, without a new byte, for rate limits whose end the host states. Such waits are no failures: others
    behind the same address use up a window of minutes too, so it may take several."""

    def wait(self, failures: int, asked: float) -> float:
        """Return the wait before the next attempt: doubled each time, with jitter to spread pods."""
        backoff = min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1))
        # No request may come before the end of a window: the jitter is added to it.
        asked *= 1 + random.random() / 10  # noqa: S311 (jitter, no secret)
        return max(asked, backoff * (0.5 + random.random() / 2))  # noqa: S311


def is_rate_limit(error: TransientError) -> bool:
    """Return True if the host has said when its rate limit ends."""
    return isinstance(error, BusyError) and error.wait > 0


class Tries:
    """Consecutive failures of one download, whose connections fail together when their source does."""

    def __init__(self, patience: Patience) -> None:
        self._patience, self._lock = patience, threading.Lock()
        self._failures, self._reached, self._last = 0, 0, 0.0
        self._windows, self._waited = 0, 0.0

    def next_wait(self, error: TransientError, *, began: float, progress: int) -> float | None:
        """Return the seconds to wait; None if this attempt `began` before the last failure: one outage counts once.

        `progress` is the number of bytes that are here. Raises `error` if it is one too many.
        """
        with self._lock:
            if began < self._last:
                return None
            self._last = time.monotonic()
            if progress - self._reached >= STALL_BYTES:
                self._failures, self._windows, self._waited = 0, 0, 0.0
            self._reached = max(self._reached, progress)
            wait = self._window(error) if is_rate_limit(error) else self._failure(error)
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


def report_wait(reporter: Reporter, error: TransientError, wait: float, **facts: JsonValue) -> None:
    """Report the wait after a failure, in seconds."""
    event = "waiting" if is_rate_limit(error) else "retry"
    reporter.event(event, **facts, reason=error.reason, wait_seconds=round(wait, 1))


def retry_request(
    attempt: Callable[[], T], patience: Patience, reporter: Reporter, progress: Callable[[], int] = lambda: 0
) -> T:
    """Return the result of `attempt`, repeated as often as `patience` allows. Raises FetchError.

    `progress` returns the number of bytes that are there: new ones begin the count of failures again.
    """
    tries = Tries(patience)
    while True:
        try:
            return attempt()
        except TransientError as error:
            wait = tries.next_wait(error, began=time.monotonic(), progress=progress()) or 0.0
            report_wait(reporter, error, wait)
            time.sleep(wait)


PAUSES = Patience(first_wait=4.0, longest_wait=60.0)
"""Pauses between tries. Within a try, each download has its own `Patience`."""


def retry_work(
    work: Callable[[float], T],
    *,
    seconds: float,
    failed: Callable[[FetchError, float], None],
    pauses: Patience = PAUSES,
) -> T:
    """Return the result of `work`; repeat it for up to `seconds` while it fails with an error that may go away.

    `work` gets the seconds that are left; `failed` gets each such error and the pause after it, in seconds. Raises
    FetchError: a permanent one at once, any other when the next try would begin too late.
    """
    end, failures = time.monotonic() + seconds, 0
    while True:
        try:
            return work(max(0.0, end - time.monotonic()))
        except FetchError as error:
            failures += 1
            asked = error.wait if isinstance(error, TransientError) else 0.0
            pause = pauses.wait(min(failures, _DOUBLINGS), asked)
            if error.permanent or time.monotonic() + pause > end:
                raise
            failed(error, pause)
        time.sleep(pause)
