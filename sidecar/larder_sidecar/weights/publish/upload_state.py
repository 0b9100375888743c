"""Where uploads stand, kept in the store so that the next run finds it: a registry's own address for each of them."""

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from ...config.base import Model
from ..errors import StoreError
from ..store import untrusted
from ..store.disk import SCRATCH, STATE, hold, write_atomically

UPLOADS = STATE / "uploads"
_LARGEST = 64 << 10
"""Bytes of a session."""


class Session(Model):
    """The whole file."""

    upload: str
    """host/repository@digest"""
    location: str


class Sessions:
    """Use as a context manager. Of two that publish from one store at a time, the second remembers nothing.

    So does one that may not write there: an upload is then resumed as long as the process lives.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._lock = root, -1
        self._known: dict[str, str] = {}

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError, StoreError):
            hold(self._root, (self._root / UPLOADS, self._root / SCRATCH))
            (self._root / UPLOADS).mkdir(mode=0o700, parents=True, exist_ok=True)  # an address may be signed
            handle = untrusted.opened(self._root / UPLOADS / "lock", os.O_CREAT | os.O_RDWR)
            try:
                # Two who went on with one upload would mix their bytes. The lock goes with its process.
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

    def of(self, upload: str) -> str | None:
        """The address of an upload that was not finished; None where there is none."""
        if upload in self._known or self._lock < 0:
            return self._known.get(upload)
        try:
            found = Session.from_json(untrusted.read(self._path(upload), _LARGEST))
        except (OSError, ValidationError):
            return None
        return found.location if found.upload == upload else None

    def keep(self, upload: str, location: str) -> None:
        """Remember where an upload goes on."""
        self._known[upload] = location
        if self._lock >= 0:
            session = Session(upload=upload, location=location).to_json().encode()
            with contextlib.suppress(OSError):  # a full disk costs what a kill would lose, and no upload
                write_atomically(self._path(upload), session, scratch=self._root / SCRATCH)

    def drop(self, upload: str) -> None:
        """Forget an upload."""
        self._known.pop(upload, None)
        if self._lock >= 0:
            with contextlib.suppress(OSError):
                self._path(upload).unlink(missing_ok=True)

    def _path(self, upload: str) -> Path:
        return self._root / UPLOADS / f"{hashlib.sha256(upload.encode()).hexdigest()[:32]}.json"
