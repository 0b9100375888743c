"""What the layer of a file is, remembered in the store: to find out, all of the file has to be read and hashed.

Trusted as long as a marker vouches for the file; should they be wrong all the same, the registry refuses what arrives.
"""

import contextlib
import hashlib
from pathlib import Path

from pydantic import Field, ValidationError

from ...config.base import Model
from ..errors import ImageError, StoreError
from ..progress import Reporter
from ..store import untrusted
from ..store.disk import SCRATCH, STATE, hold, write_atomically
from ..store.marker import Stored, vouched
from ..store.ollama_layout import blob_path
from .layer import LAYER, Descriptor, Layer

LAYERS = STATE / "layers"
_LARGEST = 64 << 10
"""Bytes of what is remembered of a layer."""


class Remembered(Model):
    """The whole file: a layer with the file `sha256` at `path`."""

    path: str
    sha256: str
    bytes: int
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    size: int
    """Of the layer, in bytes."""
    repositories: tuple[str, ...] = ()
    """host/repository of every place that it was pushed to."""


class Layers:
    """The layers of a store's blobs, known without reading where that is possible."""

    def __init__(self, root: Path, reporter: Reporter) -> None:
        self._root, self._reporter = root, reporter
        self._vouched: dict[str, Stored] = vouched(root)

    def of(self, path: str, sha256: str, size: int) -> tuple[Layer, Remembered]:
        """The layer that holds the blob of `sha256` at `path`. Raises ImageError where the blob is another."""
        blob = blob_path(sha256)
        layer = Layer(path, self._root / blob, size)
        known = self._read(path, sha256, size) if blob in self._vouched else None
        if known and known.size == layer.total:  # of another size, the registry would wait for bytes that never come
            return layer, known
        self._reporter.event("hashing", file=blob, bytes=size)
        descriptor, found = layer.described()
        if found != sha256:
            raise ImageError(f"{self._root / blob} has sha256 {found}", "Mend the store: larder-sidecar fetch --verify")
        made = Remembered(path=path, sha256=sha256, bytes=size, digest=descriptor.digest, size=descriptor.size)
        self._write(made)
        return layer, made

    def pushed(self, layer: Remembered, repository: str) -> None:
        """Remember a place (host/repository) that has the layer: others there may take it over."""
        if repository not in layer.repositories:
            self._write(layer.model_copy(update={"repositories": (*layer.repositories, repository)}))

    def forget(self, layer: Remembered) -> None:
        """It was wrong."""
        with contextlib.suppress(OSError):
            self._path(layer.path, layer.sha256).unlink(missing_ok=True)

    def _read(self, path: str, sha256: str, size: int) -> Remembered | None:
        try:
            known = Remembered.from_json(untrusted.read(self._path(path, sha256), _LARGEST))
        except (OSError, ValidationError):
            return None
        return known if (known.path, known.sha256, known.bytes) == (path, sha256, size) else None

    def _write(self, layer: Remembered) -> None:
        with contextlib.suppress(OSError, StoreError):  # a store that may not be written is published all the same
            hold(self._root, (self._root / LAYERS, self._root / SCRATCH))
            content = layer.to_json().encode()
            write_atomically(self._path(layer.path, layer.sha256), content, scratch=self._root / SCRATCH)

    def _path(self, path: str, sha256: str) -> Path:
        return self._root / LAYERS / f"{hashlib.sha256(f'{sha256} {path}'.encode()).hexdigest()[:32]}.json"


def descriptor(layer: Remembered) -> Descriptor:
    """What a manifest says of it."""
    return Descriptor(LAYER, layer.digest, layer.size)
