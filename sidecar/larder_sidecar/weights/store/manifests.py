"""Makes a model of weights that are in the store: last come the manifests, by which engines see it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ...config.weights import ModelWeights
from . import untrusted
from .disk import SCRATCH, link_atomically, sync_folder, write_atomically
from .marker import Stored, stored
from .ollama_layout import StoredFile, layout


def offer(model: ModelWeights, files: Sequence[StoredFile], root: Path) -> dict[str, Stored]:
    """Write what engines want beside the weights; returns what was written, for the marker. Raises PlanError."""
    made = layout(model, files)
    written: dict[str, Stored] = {}
    for contents in (made.blobs, made.manifests):
        for name, content in contents.items():
            path = root / name
            if not _is(path, content):
                write_atomically(path, content, scratch=root / SCRATCH)
            written[name] = stored(path, hashlib.sha256(content).hexdigest())
    sync_folder(root / "manifests")
    for name, target in made.links.items():
        path = root / name
        if not path.is_symlink() or str(path.readlink()) != target:
            link_atomically(path, target, scratch=root / SCRATCH)
        written[name] = stored(path, target.rpartition("-")[2])
    return written


def _is(path: Path, content: bytes) -> bool:
    """Return True if a file is there with this content."""
    try:
        return untrusted.read(path, len(content)) == content
    except OSError:
        return False
