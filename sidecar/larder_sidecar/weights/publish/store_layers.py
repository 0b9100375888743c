"""The store of a plan inside an engine's image: exactly the files of a store on disk."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from ...config import layout
from ...config.weights import FIRST_PULL, WeightsPlan
from ..store.gguf import check_gguf
from ..store.marker import Marker, Stored, marker_path, sha256_of
from ..store.ollama_layout import StoredFile, blob_path, lay_out
from .layer import make_tar

STORE = layout.STORE.removeprefix("/")
"""Path of the store in every pod, which the program sets as OLLAMA_MODELS."""
_EPOCH = "1970-01-01T00:00:00+00:00"


def store_tar(plan: WeightsPlan, root: Path, recorded: Mapping[str, str]) -> bytes:
    """Return the tar of all files but the weights: manifests, links and the marker. Raises FetchError."""
    small: dict[str, bytes] = {}
    links: dict[str, str] = {}
    held: dict[str, Stored] = {}
    for model in plan.models:
        placed = [
            StoredFile(sha256, file.bytes, check_gguf(root / blob_path(sha256), plan.name_of(file)))
            for file in model.files
            for sha256 in [sha256_of(file, recorded)]
        ]
        made = lay_out(model, placed)
        small |= {**made.blobs, **made.manifests}
        links |= made.links
        held |= {blob_path(file.sha256): Stored(bytes=file.bytes, modified=0, sha256=file.sha256) for file in placed}
        weights = {path: target.rpartition("-")[2] for path, target in made.links.items()}
        held |= {path: held[blob_path(sha256)] for path, sha256 in weights.items()}
    held |= {
        path: Stored(bytes=len(content), modified=0, sha256=hashlib.sha256(content).hexdigest())
        for path, content in small.items()
    }
    marker = Marker(
        plan=plan.digest(),
        completed_at=_EPOCH,
        seconds=0,
        fetched_bytes=0,
        files=held,
        first_pull={f.url: recorded[f.url] for m in plan.models for f in m.files if f.sha256 == FIRST_PULL},
    )
    small[str(marker_path(Path(), plan.digest()))] = marker.to_json().encode()
    return make_tar(
        {f"{STORE}/{path}": content for path, content in small.items()},
        {f"{STORE}/{path}": target for path, target in links.items()},
    )
