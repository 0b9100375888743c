"""The operating system's errors about the store in our words."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from ..errors import DiskFullError, ReadOnlyError, StoreError


@contextlib.contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn an OSError of the block into StoreError, DiskFullError or ReadOnlyError about `root`."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename or root}: {error.strerror or error}"
        if error.errno in {errno.EISDIR, errno.ENOTEMPTY} and error.filename2:  # of a rename
            where = f"{error.filename2}: a folder lies in the place of the file"
            raise StoreError(where, "Remove it, and start again.") from error
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            remedy = "Make the volume larger, or remove models from larder:models. What is here is resumed."
            raise DiskFullError(where, remedy) from error
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise ReadOnlyError(
                f"{where}, and the store is not complete",
                "Mount it writable for uid 1000 (fsGroup), or fill it by the populate Job and use --wait here.",
            ) from error
        if error.errno in {errno.ENOTDIR, errno.EEXIST}:
            raise StoreError(
                f"{where}: something lies in the place of a folder", "Remove it, and start again."
            ) from error
        raise StoreError(where, "Check the volume and its mount.") from error
