"""A small pool of threads for downloads. The owner stops the workers, and gets their first error."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import urllib3

_LOOK_SECONDS = 0.5


class StoppedError(Exception):
    """The workers must stop: the work is over, or goes on without them."""


class Workers:
    """A context manager; every exit stops the workers. Each worker runs `work` once."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._threads: list[threading.Thread] = []
        self._bodies: set[urllib3.BaseHTTPResponse] = set()
        self._change, self._over = threading.Condition(), False
        self._at_work = 0
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, count: int) -> None:
        """Start so many workers; once, and not after `stop`."""
        if self._threads or self._over:
            return
        self._threads = [threading.Thread(target=self._run, name="fetch", daemon=True) for _ in range(count)]
        self._at_work = count
        for thread in self._threads:
            thread.start()

    @property
    def started(self) -> bool:
        """Return True if workers were started."""
        return bool(self._threads)

    def check(self) -> None:
        """Raise StoppedError if the workers must stop; a worker calls it at every chunk."""
        if self._over:
            raise StoppedError

    def raise_error(self) -> None:
        """Raise the first error of a worker; the owner calls it."""
        if self._error:
            raise self._error

    def wait(self) -> None:
        """Wait a short time, or until a worker has ended."""
        with self._change:
            if self._at_work:
                self._change.wait(_LOOK_SECONDS)

    @contextmanager
    def register(self, body: urllib3.BaseHTTPResponse) -> Iterator[None]:
        """Mark `body` as read by a worker: `stop` shuts it down, and waits for the end of the block."""
        with self._change:
            self.check()
            self._bodies.add(body)
        try:
            yield
        finally:
            with self._change:
                self._bodies.discard(body)
                self._change.notify_all()

    def stop(self) -> None:
        """Stop the workers. One that waits for the head of an answer lives a while longer, and writes nothing more."""
        with self._change:
            self._over = True
            for body in self._bodies:
                with contextlib.suppress(ValueError, RuntimeError, OSError):  # it has just ended
                    body.shutdown()
            self._change.wait_for(lambda: not self._bodies)

    def _run(self) -> None:
        try:
            with contextlib.suppress(StoppedError):
                self._work()
        except Exception as error:  # noqa: BLE001 (the owner gets it)
            self._error = self._error or error
        finally:
            with self._change:
                self._at_work -= 1
                self._change.notify_all()
