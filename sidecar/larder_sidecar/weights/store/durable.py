"""Small files written so that a reader sees the old content or the new, also after a power cut."""

import contextlib
import os
import uuid
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, scratch: Path) -> None:
    """Write `content` in `scratch` (same filesystem, nobody reads there), fsync, rename to `path`, fsync the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    temporary = scratch / f"{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def link_atomically(path: Path, target: str, *, scratch: Path) -> None:
    """Make `path` a symbolic link to `target`, also where it was one to something else."""
    temporary = scratch / f"{uuid.uuid4().hex}.tmp"
    temporary.symlink_to(target)
    try:
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable; filesystems that cannot (some network ones) are let off."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
