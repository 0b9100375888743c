"""Threads that work beside whoever leads: on pieces of a file, or on files. Ended by it, their errors told to it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import urllib3

_LOOK_SECONDS = 0.5


class OverError(Exception):
    """It is over, or goes on without helpers."""


class Crew:
    """A context manager; leaving it, however, ends the helpers. `work` is what each of them does, to its end."""

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
        self.disband()

    def grow(self, helpers: int) -> None:
        """Have so many helpers; once, and not after the end."""
        if self._threads or self._over:
            return
        self._threads = [threading.Thread(target=self._run, name="fetch", daemon=True) for _ in range(helpers)]
        self._at_work = helpers
        for thread in self._threads:
            thread.start()

    @property
    def grown(self) -> bool:
        """Whether there are helpers, or were."""
        return bool(self._threads)

    def check(self) -> None:
        """What helpers heed at every chunk. Raises OverError."""
        if self._over:
            raise OverError

    def complain(self) -> None:
        """What the leader must heed. Raises the first error of a helper."""
        if self._error:
            raise self._error

    def wait(self) -> None:
        """A while, or until a helper has left."""
        with self._change:
            if self._at_work:
                self._change.wait(_LOOK_SECONDS)

    @contextmanager
    def reading(self, body: urllib3.BaseHTTPResponse) -> Iterator[None]:
        """A helper reads `body` and writes what it reads: it is cut off, and waited for, when it is over."""
        with self._change:
            self.check()
            self._bodies.add(body)
        try:
            yield
        finally:
            with self._change:
                self._bodies.discard(body)
                self._change.notify_all()

    def disband(self) -> None:
        """End the helpers. One that waits for the head of an answer stays a while longer, and writes nothing more."""
        with self._change:
            self._over = True
            for body in self._bodies:
                _cut(body)
            self._change.wait_for(lambda: not self._bodies)

    def _run(self) -> None:
        try:
            with contextlib.suppress(OverError):
                self._work()
        except Exception as error:  # noqa: BLE001 (the leader gets it)
            self._error = self._error or error
        finally:
            with self._change:
                self._at_work -= 1
                self._change.notify_all()


def _cut(body: urllib3.BaseHTTPResponse) -> None:
    with contextlib.suppress(ValueError, RuntimeError, OSError):  # it has just come to its end
        body.shutdown()
