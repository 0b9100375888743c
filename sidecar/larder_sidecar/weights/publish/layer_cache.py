"""A cache of layer digests in the store: to compute one, the whole file must be read and hashed.

An entry is trusted as long as a marker lists the file; if it is wrong, the registry refuses the upload.
"""

from pathlib import Path

from pydantic import Field

from ...config.base import Model
from ..errors import ImageError
from ..progress import Reporter
from ..store.disk import STATE
from ..store.entries import Entries
from ..store.marker import verified_blobs
from ..store.ollama_layout import blob_path
from .layer import LAYER, Descriptor, Layer

LAYERS = STATE / "layers"


class CachedLayer(Model):
    """An entry of the cache: a layer with the file `sha256` at `path`."""

    path: str
    sha256: str
    bytes: int
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    size: int
    """Size of the layer in bytes."""
    repositories: tuple[str, ...] = ()
    """Repositories that have the layer, each as host/repository."""

    @property
    def descriptor(self) -> Descriptor:
        """Return the descriptor of the layer."""
        return Descriptor(LAYER, self.digest, self.size)


class LayerCache:
    """The layers of a store's blobs, from the cache if possible."""

    def __init__(self, root: Path, reporter: Reporter) -> None:
        self._root, self._reporter = root, reporter
        self._entries, self._verified = Entries(root, LAYERS, CachedLayer), verified_blobs(root)

    def find(self, path: str, sha256: str, size: int) -> tuple[Layer, CachedLayer]:
        """Return the layer with the blob `sha256` at `path`. Raises ImageError if the blob has another hash."""
        blob = blob_path(sha256)
        layer = Layer(path, self._root / blob, size)
        known = self._read(path, sha256, size) if blob in self._verified else None
        if known and known.size == layer.total:  # with another size, the registry would wait for bytes that never come
            return layer, known
        self._reporter.event("hashing", file=blob, bytes=size)
        descriptor, found = layer.describe()
        if found != sha256:
            raise ImageError(
                f"{self._root / blob}: the file has sha256 {found}",
                "Repair the store with larder-sidecar fetch --verify.",
            )
        made = CachedLayer(path=path, sha256=sha256, bytes=size, digest=descriptor.digest, size=descriptor.size)
        self._write(made)
        return layer, made

    def add_repository(self, layer: CachedLayer, repository: str) -> None:
        """Add a repository (host/repository) that has the layer: others of that host may mount it."""
        if repository not in layer.repositories:
            self._write(layer.model_copy(update={"repositories": (*layer.repositories, repository)}))

    def forget(self, layer: CachedLayer) -> None:
        """Remove an entry that was wrong."""
        self._entries.remove(_key(layer.path, layer.sha256))

    def _read(self, path: str, sha256: str, size: int) -> CachedLayer | None:
        known = self._entries.read(_key(path, sha256))
        return known if known and (known.path, known.sha256, known.bytes) == (path, sha256, size) else None

    def _write(self, layer: CachedLayer) -> None:
        self._entries.write(_key(layer.path, layer.sha256), layer)


def _key(path: str, sha256: str) -> str:
    return f"{sha256} {path}"
