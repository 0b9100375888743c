"""A stop by signal: what is held for others is given back, and the process is gone.

To unwind could take long: for a peer that sends nothing, a disk that writes gigabytes, or a lock that the exception
itself left taken, since it may come between any two steps. What this process writes survives a kill at any moment, so a
stop is one. The signals are blocked, and a thread waits for them: a handler runs only when the main thread gets back to
the interpreter, which it may have left for a read just before.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
_to_give_back: set[Callable[[], None]] = set()


def remember(give_back: Callable[[], None]) -> None:
    """Call this on a stop. It may raise OSError, and runs beside whatever else the process does."""
    _to_give_back.add(give_back)


def forget(give_back: Callable[[], None]) -> None:
    """It was given back otherwise."""
    _to_give_back.discard(give_back)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """What runs inside is ended by SIGTERM and SIGINT, with 128 + the signal as exit status. Start no thread before."""
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
