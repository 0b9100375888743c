"""The state of uploads, kept in the store for the next run: the registry's address of each upload."""

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from ...config.base import Model
from ..errors import StoreError
from ..store import untrusted
from ..store.disk import SCRATCH, STATE, require_inside
from ..store.entries import Entries

UPLOADS = STATE / "uploads"


class UploadState(Model):
    """The state of one upload."""

    upload: str
    """Blob of the upload: host/repository@digest."""
    location: str


class UploadStates:
    """A context manager. Of two runs that publish from one store at a time, the second one stores nothing.

    Nothing is stored in a read-only store either: then an upload can be resumed as long as the process lives.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._lock = root, -1
        self._entries = Entries(root, UPLOADS, UploadState)
        self._known: dict[str, str] = {}

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError, StoreError):
            require_inside(self._root, (self._root / UPLOADS, self._root / SCRATCH))
            (self._root / UPLOADS).mkdir(mode=0o700, parents=True, exist_ok=True)  # an address may have a signature
            handle = untrusted.open_descriptor(self._root / UPLOADS / "lock", os.O_CREAT | os.O_RDWR)
            try:
                # Two runs of one upload would mix their bytes. The lock ends with its process.
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(handle)
                raise
            self._lock = handle
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def location_of(self, upload: str) -> str | None:
        """Return the address of an unfinished upload; None if there is none."""
        if upload in self._known or self._lock < 0:
            return self._known.get(upload)
        found = self._entries.read(upload)
        return found.location if found and found.upload == upload else None

    def save(self, upload: str, location: str) -> None:
        """Save the address at which an upload goes on."""
        self._known[upload] = location
        if self._lock >= 0:
            self._entries.write(upload, UploadState(upload=upload, location=location))

    def remove(self, upload: str) -> None:
        """Remove an upload."""
        self._known.pop(upload, None)
        if self._lock >= 0:
            self._entries.remove(upload)
