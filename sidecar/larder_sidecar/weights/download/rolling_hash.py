"""The sha256 of a file that is still being written, one pass over it that never waits for the end of the writing."""

import hashlib
import os
import threading
from collections.abc import Callable

_READ = 1 << 20


class Following:
    """Hashes `size` bytes of a file, as far as `front` says that they have no gap, in a thread of its own.

    It reads back what has just been written, which is in the page cache: so pieces may come in any order, memory stays
    that of one buffer, and what an earlier run left is hashed beside the download of the rest.
    """

    def __init__(self, file: int, size: int, front: Callable[[], int]) -> None:
        self._file, self._size, self._front = file, size, front
        self._digest, self._done = hashlib.sha256(), 0
        self._wanted = min(_READ, size)
        self._news, self._over = threading.Condition(), False
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="sha256", daemon=True)
        self._thread.start()

    def tell(self, front: int) -> None:
        """The front has moved up to there."""
        # Who writes does not stop for less: to wake the thread costs as much as to receive a chunk.
        if front >= self._wanted:
            with self._news:
                self._news.notify_all()

    def end(self) -> None:
        """Stop, wherever it is."""
        with self._news:
            self._over = True
            self._news.notify_all()
        self._thread.join()

    def sha256(self) -> str:
        """Of the whole, when it is hashed. Raises OSError."""
        with self._news:
            self._news.wait_for(lambda: self._done >= self._size or self._error)
        if self._error:
            raise self._error
        return self._digest.hexdigest()

    def _run(self) -> None:
        buffer = bytearray(_READ)
        view = memoryview(buffer)
        while (most := self._next()) > 0:
            try:
                count = os.preadv(self._file, [view[:most]], self._done)
            except OSError as error:
                self._fail(error)
                return
            if count == 0:
                self._fail(OSError("the part became shorter while it was hashed"))
                return
            self._digest.update(view[:count])
            with self._news:
                self._done += count
                # Before the next look at the front, so that whoever moves it later sees what it has to reach.
                self._wanted = min(self._done + _READ, self._size)
                self._news.notify_all()

    def _next(self) -> int:
        """Bytes to hash at once, when there are so many; 0 at the end."""
        with self._news:
            self._news.wait_for(lambda: self._over or self._done >= self._size or self._front() >= self._wanted)
            return 0 if self._over else self._wanted - self._done

    def _fail(self, error: OSError) -> None:
        with self._news:
            self._error = error
            self._news.notify_all()
