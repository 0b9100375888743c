"""Attempts at the source of one file, within the limits of its host."""

import time
from collections.abc import Callable
from typing import TypeVar

from ..errors import BusyError, DeniedError, TransientError
from ..progress import Reporter
from ..retry import Tries, report_wait
from .hosts import Host

T = TypeVar("T")


class Attempts:
    """Attempts for a file that events call `name`. `pause` waits before another one, in seconds."""

    def __init__(self, name: str, host: Host, reporter: Reporter, pause: Callable[[float], object]) -> None:
        self._name, self._host, self._reporter, self._pause = name, host, reporter, pause
        self.served = False
        """True once the source has begun to send the file: a later refusal may go away."""

    def run(self, attempt: Callable[[], T], tries: Tries, guard: Callable[[], None], progress: Callable[[], int]) -> T:
        """Return the result of `attempt`, repeated as `tries` allows. `guard` raises to give up. Raises HubError.

        `progress` returns the number of bytes that are here.
        """
        while True:
            with self._host.connection(guard, self._pause):
                began = time.monotonic()
                try:
                    return attempt()
                except (TransientError, DeniedError) as caught:
                    error = self._require_transient(caught)
                    guard()  # we may have cut the connection ourselves
                    wait = tries.next_wait(error, began=began, progress=progress())
                    if wait is not None:
                        self._host.back_off(wait, busy=isinstance(error, BusyError))
                        report_wait(self._reporter, error, wait, file=self._name)

    def _require_transient(self, error: TransientError | DeniedError) -> TransientError:
        """Return an error that may go away: also a refusal once the source has sent bytes. Raises every other error."""
        if isinstance(error, TransientError):
            return error
        if not self.served:
            raise error
        return TransientError(error.reason, error.remedy)
