"""Makes a model of weights that are in the store: last come the manifests, by which engines see it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..config.weights import ModelWeights
from .durable import sync_folder, write_atomically
from .folders import SCRATCH
from .marker import Stored, stored
from .ollama_store import StoredFile, layout


def offer(model: ModelWeights, files: Sequence[StoredFile], root: Path) -> dict[str, Stored]:
    """Write what Ollama wants beside the weights; returns what was written, for the marker. Raises PlanError."""
    made = layout(model, files)
    written: dict[str, Stored] = {}
    for contents in (made.blobs, made.manifests):
        for name, content in contents.items():
            path = root / name
            if not path.is_file() or path.read_bytes() != content:
                write_atomically(path, content, scratch=root / SCRATCH)
            written[name] = stored(path, hashlib.sha256(content).hexdigest())
    sync_folder(root / "manifests")
    return written
