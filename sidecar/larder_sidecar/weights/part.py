"""A file that is being downloaded: its bytes so far, their running sha256, and what is needed to resume it."""

import contextlib
import hashlib
import json
import os
import re
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from .durable import sync_folder

_READ = 4 << 20
_QUEUED = 16
"""Chunks that may wait for the hash; bounds memory."""


class Part:
    """`path` holds the bytes, `path`.json the ETag they were sent with. Hashing runs beside reading and writing.

    Killed at any moment: the bytes on disk are re-hashed when the part is opened again, so nothing about them is
    believed. After power loss they may be wrong all the same; then the hash at the end says so.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._notes = path, path.with_name(f"{path.name}.json")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        self._hasher, self._pending = ThreadPoolExecutor(1), deque[Future[None]]()
        self._digest, self.size = hashlib.sha256(), 0
        self._rehash()
        self.etag = self._read_etag()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hasher.shutdown()
        os.close(self._file)

    def _rehash(self) -> None:
        while chunk := os.read(self._file, _READ):
            self._digest.update(chunk)
            self.size += len(chunk)

    def _read_etag(self) -> str | None:
        try:
            etag = json.loads(self._notes.read_text()).get("etag")
        except (OSError, ValueError, AttributeError, RecursionError):
            return None
        # Whoever can write here must not choose what is sent as a header.
        return etag if isinstance(etag, str) and re.fullmatch(r'"[!-~]{0,200}"', etag) else None

    def restart(self, etag: str | None) -> None:
        """Drop what is here; the bytes to come carry `etag`."""
        self._drain()
        # Notes before bytes: an ETag without bytes is harmless, bytes under another ETag are not.
        os.ftruncate(self._file, 0)
        self._notes.write_text(json.dumps({"etag": etag}))
        self._digest, self.size, self.etag = hashlib.sha256(), 0, etag

    def append(self, chunk: bytes) -> None:
        """Write a chunk at the end. Raises OSError."""
        view = memoryview(chunk)
        while view:
            written = os.pwrite(self._file, view, self.size)
            self._pending.append(self._hasher.submit(self._digest.update, view[:written]))
            self.size += written
            view = view[written:]
        if len(self._pending) > _QUEUED:
            self._pending.popleft().result()

    def _drain(self) -> None:
        while self._pending:
            self._pending.popleft().result()

    def sha256(self) -> str:
        """Of all bytes so far."""
        self._drain()
        return self._digest.hexdigest()

    def discard(self) -> None:
        """Remove the part from the disk."""
        self._drain()
        for path in (self._notes, self.path):
            path.unlink(missing_ok=True)

    def place(self, target: Path) -> None:
        """Make the part `target`: durable first, visible then. The part is gone afterwards."""
        os.fsync(self._file)
        self.path.rename(target)
        sync_folder(target.parent)
        with contextlib.suppress(OSError):
            self._notes.unlink(missing_ok=True)
