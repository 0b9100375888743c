"""Opens what lies on a disk that others write on too: regular files only, never through a link, never waiting.

A FIFO would be waited for, a device is without end, and a link leads to files of somebody else.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_ODD = {errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EFBIG}
"""Errors of open(2) for links, sockets and folders in the place of a file."""


class OddFileError(OSError):
    """In the place of a file lies something else, or a file larger than it can be."""


def opened(path: Path, flags: int = os.O_RDONLY, *, links: bool = False) -> int:
    """A descriptor of the regular file at `path`. With `links` the last name may be a link to one.

    Raises OddFileError where something else lies there, OSError as open(2).
    """
    try:
        # O_NONBLOCK does nothing to regular files; of a FIFO it is the way not to wait for its other end.
        handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW), 0o644)
    except OSError as error:
        if error.errno in _ODD:
            raise _odd(path, "is not a regular file") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _odd(path, "is not a regular file")
    return handle


def read(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes. Raises OddFileError, OSError."""
    with os.fdopen(opened(path), "rb") as file:
        found = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
    if len(found) > limit:
        raise _odd(path, f"has more than {limit} bytes")
    return found


def content(path: Path) -> BinaryIO:
    """A regular file of any size, or a link to one, as in a store that is joined by links. Raises OddFileError."""
    return os.fdopen(opened(path, links=True), "rb")


@contextlib.contextmanager
def folder(root: Path, *below: str) -> Iterator[int]:
    """A descriptor of a folder below `root`, reached through no link. Raises OddFileError, OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    handle = os.open(root, flags)
    try:
        for name in below:
            try:
                inner = os.open(name, flags | os.O_NOFOLLOW, dir_fd=handle)
            except OSError as error:
                if error.errno in _ODD:
                    raise _odd(root / Path(*below), "is not a folder") from error
                raise
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _odd(path: Path, what: str) -> OddFileError:
    return OddFileError(errno.EINVAL, what, str(path))
