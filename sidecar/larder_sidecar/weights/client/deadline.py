"""Deadlines for calls that have no timeout of their own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def run_within(seconds: float, work: Callable[[], T], *, too_late: Callable[[T], None]) -> T:
    """Return the result of `work`, or raise TimeoutError after `seconds`; a later result goes to `too_late`.

    A socket's timeout counts from byte to byte, and a DNS lookup has none. So the work runs in a thread that can be
    abandoned: it holds a socket until its peer closes it, or until this process ends.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 (the caller gets it)
            if outcome.set_running_or_notify_cancel():
                outcome.set_exception(error)
        else:
            if outcome.set_running_or_notify_cancel():
                outcome.set_result(result)
            else:
                too_late(result)

    threading.Thread(target=run, name="within", daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError:
        if outcome.cancel():
            raise
        return outcome.result()  # it came just now, or the TimeoutError is its own
