"""A file that is being downloaded: its bytes so far, their sha256, and what is needed to resume it."""

import contextlib
import os
import threading
from pathlib import Path
from typing import Self

from ..errors import DiskFullError
from ..store import untrusted
from ..store.disk import sync_folder
from . import writeback
from .pieces import LARGEST, Journal, Piece
from .rolling_hash import Following


class Part:
    """`path` holds the bytes at their places, `path`.json says which are there. Several threads may write at once.

    Killed at any moment, what the journal counts is there. After power loss it may not be; then the hash at the end
    says so.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path, self._notes = path, path.with_name(f"{path.name}.json")
        self._lock = threading.Lock()
        if size > LARGEST:
            raise DiskFullError(f"{path}: no disk holds {size} bytes", "Choose another file.")
        self._file = untrusted.opened(path, os.O_RDWR | os.O_CREAT)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._file)
            self._journal = Journal(self._notes, size)
            undo.callback(self._journal.close)
            self._believe_the_disk()
            undo.pop_all()
        self._hash = Following(self._file, size, self._front)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hash.end()
        self._journal.close()
        os.close(self._file)

    @property
    def held(self) -> int:
        """Bytes that are here."""
        return self._journal.pieces.held

    @property
    def complete(self) -> bool:
        """Whether all are."""
        return self._journal.pieces.complete

    @property
    def etag(self) -> str | None:
        """What they were sent with."""
        return self._journal.etag

    @property
    def pieces(self) -> int:
        """How many connections can fetch it at once at the most."""
        return len(self._journal.pieces.have)

    def take(self) -> Piece | None:
        """A piece to fetch that nobody else fetches; None where there is none."""
        with self._lock:
            return self._journal.pieces.take()

    def give_back(self, piece: Piece) -> None:
        """Whoever took it is through with it, whole or not."""
        with self._lock:
            self._journal.pieces.give_back(piece)

    def restart(self, etag: str | None) -> None:
        """Drop what is here; the bytes to come carry `etag`. Nobody else may be writing. Raises OSError."""
        self._hash.end()
        # Journal before bytes: an ETag without bytes is harmless, bytes under another ETag are not.
        self._journal.restart(etag)
        os.ftruncate(self._file, 0)
        self._hash = Following(self._file, self._journal.pieces.size, self._front)

    def write(self, offset: int, chunk: bytes) -> None:
        """Write a chunk where a piece has its first gap; it may go on into the next one. Raises OSError."""
        view, pieces = memoryview(chunk), self._journal.pieces
        while view:
            room = pieces.length - offset % pieces.length
            written = os.pwrite(self._file, view[:room], offset)
            with self._lock:
                self._journal.note(pieces.add(offset, written))
                front = pieces.front
            self._hash.tell(front)
            writeback.written(self._file, offset, offset + written)
            view, offset = view[written:], offset + written

    def sha256(self) -> str:
        """Of the whole file, which is complete. Raises OSError."""
        return self._hash.sha256()

    def discard(self) -> None:
        """Remove the part from the disk."""
        for path in (self._notes, self.path):
            path.unlink(missing_ok=True)

    def place(self, target: Path) -> None:
        """Make the part `target`: durable first, visible then. The part is gone afterwards."""
        os.fsync(self._file)
        self.path.rename(target)
        sync_folder(target.parent)
        with contextlib.suppress(OSError):
            self._notes.unlink(missing_ok=True)

    def _front(self) -> int:
        with self._lock:
            return self._journal.pieces.front

    def _believe_the_disk(self) -> None:
        """Cut a file that is longer than it should be, and drop a journal that counts bytes behind its end."""
        size = self._journal.pieces.size
        if os.fstat(self._file).st_size > size:
            os.ftruncate(self._file, size)
        if any(
            have and number * self._journal.pieces.length + have > os.fstat(self._file).st_size
            for number, have in enumerate(self._journal.pieces.have)
        ):
            self._journal.restart(None)
