"""Models made of weights that are in the store: the manifests, by which engines see a model, are written last."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ...config.weights import ModelWeights
from . import untrusted
from .disk import SCRATCH, link_atomically, sync_folder, write_atomically
from .marker import Stored, describe_file
from .ollama_layout import StoredFile, lay_out


def write_model(model: ModelWeights, files: Sequence[StoredFile], root: Path) -> dict[str, Stored]:
    """Write the files that engines need beside the weights, and return them for the marker. Raises PlanError."""
    made = lay_out(model, files)
    written: dict[str, Stored] = {}
    for contents in (made.blobs, made.manifests):
        for name, content in contents.items():
            path = root / name
            if not _has_content(path, content):
                write_atomically(path, content, scratch=root / SCRATCH)
            written[name] = describe_file(path, hashlib.sha256(content).hexdigest())
    sync_folder(root / "manifests")
    for name, target in made.links.items():
        path = root / name
        if not path.is_symlink() or str(path.readlink()) != target:
            link_atomically(path, target, scratch=root / SCRATCH)
        written[name] = describe_file(path, target.rpartition("-")[2])
    return written


def _has_content(path: Path, content: bytes) -> bool:
    """Return True if a file with this content is there."""
    try:
        return untrusted.read_file(path, len(content)) == content
    except OSError:
        return False
