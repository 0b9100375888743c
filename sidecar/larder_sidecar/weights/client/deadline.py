"""An end for calls that have none of their own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T], *, too_late: Callable[[T], None]) -> T:
    """The result of `work`, or TimeoutError after `seconds`; a result that comes later goes to `too_late`.

    A socket's timeout counts from byte to byte, and a DNS lookup has none. So the work gets a thread that can be left
    alone with it: it holds a socket until its peer goes, or until this process does.
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
