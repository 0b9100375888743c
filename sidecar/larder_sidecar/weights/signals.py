"""Exit on a signal: leases are released, and the process ends at once.

To unwind could take long: a peer sends nothing, a disk writes gigabytes, or the exception itself leaves a lock taken,
because it may come between any two steps. The files of this process survive a kill at any moment, so a stop is a kill.
The signals are blocked, and a thread waits for them: a handler runs only when the main thread is back in the
interpreter, which it may have left for a read just before.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
_to_give_back: set[Callable[[], None]] = set()


def call_on_stop(give_back: Callable[[], None]) -> None:
    """Register a function for a stop. It may raise OSError, and runs while other threads of the process run."""
    _to_give_back.add(give_back)


def cancel_call(give_back: Callable[[], None]) -> None:
    """Remove a registered function."""
    _to_give_back.discard(give_back)


@contextlib.contextmanager
def exit_on_signals() -> Iterator[None]:
    """End the process on SIGTERM and SIGINT, with the exit status 128 + signal. Start no thread before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    over = threading.Event()
    thread = threading.Thread(target=_wait, args=(over,), name="stop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        with contextlib.suppress(ProcessLookupError):
            signal.pthread_kill(thread.ident or 0, signal.SIGTERM)
        thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(over: threading.Event) -> None:
    number = signal.sigwait(SIGNALS)
    if over.is_set():
        return
    for give_back in list(_to_give_back):
        with contextlib.suppress(OSError):
            give_back()
    os._exit(128 + number)
