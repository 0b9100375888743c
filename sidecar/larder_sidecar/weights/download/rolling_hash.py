"""The sha256 of a file during its download: one pass, which does not wait for the end of the download."""

import hashlib
import os
import threading
from collections.abc import Callable

_READ = 1 << 20


class RollingHash:
    """A thread that hashes `size` bytes of a file up to `front`, the first gap.

    It reads bytes back that were just written, and so are in the page cache: pieces may come in any order, memory is
    one buffer, and bytes of an earlier run are hashed during the download of the rest.
    """

    def __init__(self, file: int, size: int, front: Callable[[], int]) -> None:
        self._file, self._size, self._front = file, size, front
        self._digest, self._done = hashlib.sha256(), 0
        self._wanted = min(_READ, size)
        self._change, self._over = threading.Condition(), False
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="sha256", daemon=True)
        self._thread.start()

    def advance(self, front: int) -> None:
        """Report a new `front`."""
        # A writer does not wake the thread for less: that costs as much as to receive a chunk.
        if front >= self._wanted:
            with self._change:
                self._change.notify_all()

    def stop(self) -> None:
        """Stop the thread at any point."""
        with self._change:
            self._over = True
            self._change.notify_all()
        self._thread.join()

    def sha256(self) -> str:
        """Wait for the end, and return the sha256 of the file. Raises OSError."""
        with self._change:
            self._change.wait_for(lambda: self._done >= self._size or self._error)
        if self._error:
            raise self._error
        return self._digest.hexdigest()

    def _run(self) -> None:
        buffer = bytearray(_READ)
        view = memoryview(buffer)
        while (most := self._wait_for_bytes()) > 0:
            try:
                count = os.preadv(self._file, [view[:most]], self._done)
            except OSError as error:
                self._fail(error)
                return
            if count == 0:
                self._fail(OSError("the part became shorter while it was hashed"))
                return
            self._digest.update(view[:count])
            with self._change:
                self._done += count
                # This comes before the next look at the front, so that a later writer sees the new threshold.
                self._wanted = min(self._done + _READ, self._size)
                self._change.notify_all()

    def _wait_for_bytes(self) -> int:
        """Wait for the next bytes to hash, and return their number; 0 at the end."""
        with self._change:
            self._change.wait_for(lambda: self._over or self._done >= self._size or self._front() >= self._wanted)
            return 0 if self._over else self._wanted - self._done

    def _fail(self, error: OSError) -> None:
        with self._change:
            self._error = error
            self._change.notify_all()
