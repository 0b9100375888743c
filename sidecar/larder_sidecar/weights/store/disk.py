"""The disk below a store: its folders, small files that are whole or absent, and the system's errors in our words."""

import contextlib
import errno
import itertools
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...config import layout
from ..errors import DiskFullError, ReadOnlyError, StoreError
from . import untrusted

STATE = Path(layout.STATE)
"""Folder of the store for our own files: markers, parts, lease."""
PARTS, SCRATCH = STATE / "parts", STATE / "tmp"
ABANDONED_SECONDS = 7 * 86_400
MAX_ENTRIES = 20_000
"""Entries of one kind in a store. Ours has a few for each model; a shared disk may have any number."""
GGUF = Path(layout.GGUF)
"""Folder of the store with the weights under plain names, for engines that load files."""
_SHARED = (Path("blobs"), Path("manifests"), GGUF)
_OURS = (STATE, PARTS, SCRATCH)


def make_folders(root: Path) -> None:
    """Make the folders of a store. Raises StoreError if one leads out of it: we write and delete in them."""
    levels = (list_entries(root / "manifests", depth) for depth in range(3))
    require_inside(root, itertools.chain((root / name for name in _SHARED), *levels))
    for name in _SHARED:
        make_folder(root / name)
    make_own_folders(root)


def make_own_folders(root: Path) -> None:
    """Make our own folders. Raises StoreError as `require_own_folders`."""
    require_own_folders(root)
    for name in _OURS:
        make_folder(root / name)


def require_own_folders(root: Path) -> None:
    """Raise StoreError if one of our own folders is a link: we delete every file in it."""
    require_inside(root, (root / name for name in _OURS))
    for path in (root / name for name in _OURS):
        if path.is_symlink():
            raise StoreError(f"{path} is a link, to {path.readlink()}", "Remove the link; nothing was written.")


def require_inside(root: Path, folders: Iterable[Path]) -> None:
    """Raise StoreError if a folder leads out of the store."""
    inside = root.resolve()
    for path in folders:
        try:
            target = path.resolve()
        except RuntimeError:  # a link to itself
            raise StoreError(f"{path} is a link, to itself", "Remove the link; nothing was written.") from None
        if not target.is_relative_to(inside):
            raise StoreError(f"{path} leads out of the store, to {target}", "Remove the link; nothing was written.")


def list_entries(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Yield the entries `depth` folders below a folder of a store; none if it cannot be read.

    Raises StoreError for more entries than a store has.
    """
    waiting, count = [(folder, depth)], 0
    while waiting:
        here, below = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(here) as found:
            for entry in found:
                count += 1
                if count > MAX_ENTRIES:
                    raise StoreError(
                        f"{folder}: the folder has more than {MAX_ENTRIES} entries",
                        "Remove files that Larder did not write.",
                    )
                path = Path(entry)
                if not below:
                    yield path
                elif path.is_dir():
                    waiting.append((path, below - 1))


def make_folder(path: Path) -> None:
    """Make a folder if it is missing. Raises StoreError if something else has its name."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise StoreError(f"{path}: this must be a folder and is a file", "Remove it: it is not Larder's.") from None


def sweep(root: Path) -> None:
    """Remove temporary files, parts untouched for a week, and entries that do not belong in those folders.

    Entries that cannot be removed stay.
    """
    with untrusted.open_folder(root, *SCRATCH.parts) as scratch, os.scandir(scratch) as found:
        for entry in found:
            _remove(entry.name, scratch)
    old = time.time() - ABANDONED_SECONDS
    with untrusted.open_folder(root, *PARTS.parts) as parts, os.scandir(parts) as found:
        for entry in found:
            with contextlib.suppress(OSError):
                facts = entry.stat(follow_symlinks=False)
                # A file with a second name is in use elsewhere: a download would write into it.
                if facts.st_mtime < old or not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
                    _remove(entry.name, parts)


def _remove(name: str, folder: int) -> None:
    """Remove an entry of an open folder, following no link."""
    with contextlib.suppress(OSError, RecursionError):  # RecursionError: folders in folders, a thousand deep
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            shutil.rmtree(name, ignore_errors=True, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def place_atomically(path: Path, *, scratch: Path) -> Iterator[Path]:
    """Yield a path in `scratch` on the same filesystem; rename what is made there to `path`, and fsync the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    temporary = scratch / f"{uuid.uuid4().hex}.tmp"
    try:
        yield temporary
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_atomically(path: Path, content: bytes, *, scratch: Path) -> None:
    """Write a small file that is whole and durable, or absent."""
    with place_atomically(path, scratch=scratch) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def link_atomically(path: Path, target: str, *, scratch: Path) -> None:
    """Make `path` a symbolic link to `target`, also if it links to something else."""
    with place_atomically(path, scratch=scratch) as temporary:
        temporary.symlink_to(target)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, on filesystems that can; some network filesystems cannot."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def translate_os_errors(root: Path) -> Iterator[None]:
    """Turn an OSError of the block into StoreError, DiskFullError or ReadOnlyError about `root`."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename or root}: {error.strerror or error}"
        if error.errno in {errno.EISDIR, errno.ENOTEMPTY} and error.filename2:  # of a rename
            where = f"{error.filename2}: a folder has the name of the file"
            raise StoreError(where, "Remove it and start again.") from error
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            remedy = "Make the volume larger, or remove models from larder:models. The next run resumes."
            raise DiskFullError(where, remedy) from error
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise ReadOnlyError(
                f"{where}; the store is not complete",
                "Mount it writable for uid 1000 (fsGroup), or fill it with the populate Job and use --wait here.",
            ) from error
        if error.errno in {errno.ENOTDIR, errno.EEXIST}:
            raise StoreError(f"{where}: a file has the name of a folder", "Remove it and start again.") from error
        raise StoreError(where, "Check the volume and its mount.") from error
