"""Another try of the whole work, after a failure that may go away by itself."""

import time
from collections.abc import Callable
from typing import TypeVar

from .errors import FetchError, TransientError
from .retry import Patience

T = TypeVar("T")
PAUSES = Patience(first_wait=4.0, longest_wait=60.0)
"""Pauses between tries. Within a try, each download has a patience of its own."""
_DOUBLINGS = 16


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
