"""How much a source may fail before a download gives it up."""

import random
import threading
import time
from dataclasses import dataclass

from .errors import TransientError

STALL_BYTES = 64 * 1024
"""Fewer bytes than this within the stall time count as none: a trickle holds a pod for ever otherwise."""


@dataclass(frozen=True)
class Patience:
    """How much a source may fail. Times in seconds."""

    stall_seconds: float = 30.0
    failures: int = 5
    """Attempts in a row without a new byte."""
    first_wait: float = 1.0
    longest_wait: float = 30.0

    def wait(self, failures: int, asked: float) -> float:
        """Before the next attempt: doubled each time, with jitter so that many pods do not return at once."""
        backoff = min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1))
        return max(asked, backoff * (0.5 + random.random() / 2))  # noqa: S311 (jitter, no secret)


class Tries:
    """The failures in a row of one download, whose connections fail together when their source does."""

    def __init__(self, patience: Patience) -> None:
        self._patience, self._lock = patience, threading.Lock()
        self._failures, self._reached, self._last = 0, 0, 0.0

    def failed(self, error: TransientError, *, began: float, progress: int) -> float | None:
        """Seconds to wait; None where the attempt, which `began` then, failed along with one that is counted already.

        `progress` is how many bytes are here. Raises `error` where it is one too many.
        """
        with self._lock:
            if began < self._last:
                return None
            self._last = time.monotonic()
            self._failures = 1 if progress - self._reached >= STALL_BYTES else self._failures + 1
            self._reached = max(self._reached, progress)
            if self._failures >= self._patience.failures:
                raise error
            return self._patience.wait(self._failures, error.wait)
