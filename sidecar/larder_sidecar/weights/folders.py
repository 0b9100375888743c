"""The folders of a store: made, held inside it, and swept of what killed runs left."""

import itertools
import shutil
import stat
import time
from pathlib import Path

from .errors import StoreError

STATE = Path(".larder")
"""Folder inside the store for everything that is not the engine's: markers, parts, lease."""
PARTS, SCRATCH = STATE / "parts", STATE / "tmp"
ABANDONED_SECONDS = 7 * 86_400
GGUF = Path("gguf")
"""Folder inside the store with the weights under plain names, for engines that take files."""
_WRITTEN = (Path("blobs"), Path("manifests"), GGUF, STATE, PARTS, SCRATCH)


def prepare(root: Path) -> None:
    """Make the folders. Raises StoreError where one leads out of the store: we write and delete in them."""
    inside = root.resolve()
    levels = (root.glob(f"manifests/{depth}") for depth in ("*", "*/*", "*/*/*"))
    for folder in (*(root / name for name in _WRITTEN), *itertools.chain.from_iterable(levels)):
        target = folder.resolve()
        if not target.is_relative_to(inside):
            raise StoreError(f"{folder} leads out of the store, to {target}", "Remove that link; nothing was written.")
    for name in _WRITTEN:
        (root / name).mkdir(parents=True, exist_ok=True)


def sweep(root: Path) -> None:
    """Remove half-written small files, parts nobody resumed for a week, and whatever there is no file of ours."""
    for path in (root / SCRATCH).glob("*"):
        _remove(path)
    old = time.time() - ABANDONED_SECONDS
    for path in (root / PARTS).glob("*"):
        facts = path.lstat()
        if facts.st_mtime < old or not stat.S_ISREG(facts.st_mode):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
