"""Locks between runs of one command in a checkout, and between checkouts that build the same tool."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .progress import say


@contextmanager
def alone(lock: Path, waiting: str) -> Iterator[None]:
    """Hold `lock` while the body runs; print `waiting` once if another process has it. Exit releases it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  {waiting}; waiting for it to end")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
