"""Small JSON files in a folder of the store. They save work, and no function depends on them."""

import contextlib
import hashlib
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from ...config.base import Model
from ..errors import StoreError
from . import untrusted
from .disk import SCRATCH, require_inside, write_atomically

M = TypeVar("M", bound=Model)
_LARGEST = 64 << 10
"""Bytes of a file."""


class Entries(Generic[M]):
    """The entries of `folder`, one file for each key. On a read-only or full disk an entry is not stored."""

    def __init__(self, root: Path, folder: Path, kind: type[M]) -> None:
        self._root, self._folder, self._kind = root, root / folder, kind

    def read(self, key: str) -> M | None:
        """Return an entry; None if there is none, or it cannot be read."""
        try:
            return self._kind.from_json(untrusted.read_file(self._path(key), _LARGEST))
        except (OSError, ValidationError):
            return None

    def write(self, key: str, entry: M) -> None:
        """Write an entry, if the disk allows that."""
        with contextlib.suppress(OSError, StoreError):
            require_inside(self._root, (self._folder, self._root / SCRATCH))
            write_atomically(self._path(key), entry.to_json().encode(), scratch=self._root / SCRATCH)

    def remove(self, key: str) -> None:
        """Remove an entry, if there is one and the disk allows that."""
        with contextlib.suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
