"""Files on a disk that others may write: opened only if they are regular, through no link, and without a wait.

An open of a FIFO would block, a device has no end, and a link may lead to files outside the store.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

_CHUNK = 4 << 20
_ODD = {errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EFBIG}
"""Errors of open(2) for links, sockets and folders."""


class OddFileError(OSError):
    """A path that is no regular file, or a file that is larger than it can be."""


def open_descriptor(path: Path, flags: int = os.O_RDONLY, *, links: bool = False) -> int:
    """Open the regular file at `path`, and return its descriptor. With `links` the last name may be a link to one.

    Raises OddFileError if it is no regular file, and OSError as open(2).
    """
    try:
        # O_NONBLOCK has no effect on regular files; the open of a FIFO does not block with it.
        handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW), 0o644)
    except OSError as error:
        if error.errno in _ODD:
            raise _odd_error(path, "is not a regular file") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _odd_error(path, "is not a regular file")
    return handle


def read_file(path: Path, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes. Raises OddFileError, OSError."""
    with os.fdopen(open_descriptor(path), "rb") as file:
        found = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
    if len(found) > limit:
        raise _odd_error(path, f"has more than {limit} bytes")
    return found


def open_file(path: Path) -> BinaryIO:
    """Open a regular file of any size, or a link to one, as in an assembled store. Raises OddFileError, OSError."""
    return os.fdopen(open_descriptor(path, links=True), "rb")


def hash_file(path: Path, check: Callable[[], None]) -> str:
    """Return the sha256 of a file; `check` raises to stop between reads. Raises OddFileError, OSError."""
    digest = hashlib.sha256()
    with open_file(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            check()
    return digest.hexdigest()


@contextlib.contextmanager
def open_folder(root: Path, *below: str) -> Iterator[int]:
    """Open a folder below `root`, through no link, and yield its descriptor. Raises OddFileError, OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    handle = os.open(root, flags)
    try:
        for name in below:
            try:
                inner = os.open(name, flags | os.O_NOFOLLOW, dir_fd=handle)
            except OSError as error:
                if error.errno in _ODD:
                    raise _odd_error(root / Path(*below), "is not a folder") from error
                raise
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _odd_error(path: Path, what: str) -> OddFileError:
    return OddFileError(errno.EINVAL, what, str(path))
