"""Part files: the bytes of a download so far, their sha256, and the record to resume it."""

import contextlib
import os
import threading
from pathlib import Path
from typing import Self

from ..errors import DiskFullError
from ..store import untrusted
from ..store.disk import sync_folder
from . import writeback
from .pieces import MAX_FILE, Piece, PieceJournal
from .rolling_hash import RollingHash


class Part:
    """A part file: `path` has the bytes at their places, `path`.json records which are there. It is safe for threads.

    After a kill at any moment, the recorded bytes are there. After power loss some may be missing; then the hash at the
    end differs.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path, self._notes = path, path.with_name(f"{path.name}.json")
        self._lock = threading.Lock()
        if size > MAX_FILE:
            raise DiskFullError(f"{path}: the file has {size} bytes, more than any disk", "Choose another file.")
        self._file = untrusted.open_descriptor(path, os.O_RDWR | os.O_CREAT)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._file)
            self._journal = PieceJournal(self._notes, size)
            undo.callback(self._journal.close)
            self._match_disk()
            undo.pop_all()
        self._hash = RollingHash(self._file, size, self._front)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hash.stop()
        self._journal.close()
        os.close(self._file)

    @property
    def held(self) -> int:
        """Return the number of bytes that are here."""
        return self._journal.pieces.held

    @property
    def complete(self) -> bool:
        """Return True if all bytes are here."""
        return self._journal.pieces.complete

    @property
    def etag(self) -> str | None:
        """Return the ETag of the bytes."""
        return self._journal.etag

    @property
    def pieces(self) -> int:
        """Return the number of pieces: no more connections can fetch it at once."""
        return len(self._journal.pieces.counts)

    def take(self) -> Piece | None:
        """Take a missing piece that no other thread fetches; None if there is none."""
        with self._lock:
            return self._journal.pieces.take()

    def release(self, piece: Piece) -> None:
        """Return a piece that was taken, complete or not."""
        with self._lock:
            self._journal.pieces.release(piece)

    def restart(self, etag: str | None) -> None:
        """Drop all bytes; the next ones have `etag`. No other thread may write. Raises OSError."""
        self._hash.stop()
        # The journal goes before the bytes: an ETag without bytes is harmless, bytes under another ETag are not.
        self._journal.restart(etag)
        os.ftruncate(self._file, 0)
        self._hash = RollingHash(self._file, self._journal.pieces.size, self._front)

    def write(self, offset: int, chunk: bytes) -> None:
        """Write a chunk at the first gap of a piece; it may reach into the next one. Raises OSError."""
        view, pieces = memoryview(chunk), self._journal.pieces
        while view:
            room = pieces.length - offset % pieces.length
            written = os.pwrite(self._file, view[:room], offset)
            with self._lock:
                self._journal.write_count(pieces.add(offset, written))
                front = pieces.front
            self._hash.advance(front)
            writeback.start_writeback(self._file, offset, offset + written)
            view, offset = view[written:], offset + written

    def sha256(self) -> str:
        """Return the sha256 of the complete file. Raises OSError."""
        return self._hash.sha256()

    def discard(self) -> None:
        """Remove the part from the disk."""
        for path in (self._notes, self.path):
            path.unlink(missing_ok=True)

    def move_to(self, target: Path) -> None:
        """Rename the part to `target`, after it is durable. The part is gone afterwards."""
        os.fsync(self._file)
        self.path.rename(target)
        sync_folder(target.parent)
        with contextlib.suppress(OSError):
            self._notes.unlink(missing_ok=True)

    def _front(self) -> int:
        with self._lock:
            return self._journal.pieces.front

    def _match_disk(self) -> None:
        """Truncate a file that is too long, and drop a journal that counts bytes behind the end of the file."""
        size = self._journal.pieces.size
        if os.fstat(self._file).st_size > size:
            os.ftruncate(self._file, size)
        if any(
            have and number * self._journal.pieces.length + have > os.fstat(self._file).st_size
            for number, have in enumerate(self._journal.pieces.counts)
        ):
            self._journal.restart(None)
