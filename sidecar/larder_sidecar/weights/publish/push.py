"""What both kinds of images have in common: their layers, and the order in which the parts of an image are pushed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from ..errors import ContentError
from ..progress import Reporter
from ..retry import Patience
from .image import Image
from .layer import Descriptor
from .layer_cache import Layers, descriptor
from .registry import Registry
from .upload import CHUNK, Content, Uploads, patiently
from .upload_state import Sessions

TAG_DIGITS = 12


@dataclass(frozen=True)
class Published:
    """An image that is in the registry."""

    reference: str
    """host/repository@sha256:…"""
    uploaded_bytes: int
    """Of layers."""
    reused_bytes: int


@dataclass(frozen=True)
class Destination:
    """Where images go, and how: repositories below `prefix`, blobs in parts of `chunk` bytes."""

    registry: Registry
    prefix: str
    reporter: Reporter = field(default_factory=Reporter)
    patience: Patience = field(default_factory=Patience)
    chunk: int = CHUNK


class Press:
    """Pushes one image into `repository`: its layers first, then what names them."""

    def __init__(self, to: Destination, repository: str, layers: Layers, sessions: Sessions) -> None:
        self._to, self._repository, self._layers = to, f"{to.prefix}/{repository}", layers
        self._uploads = Uploads(to.registry, sessions, to.reporter, to.patience, to.chunk)
        self._total = self._uploaded = 0

    def weights(self, path: str, sha256: str, size: int) -> Descriptor:
        """Push the layer with a blob of the store at `path`. Raises FetchError."""
        layer, known = self._layers.of(path, sha256, size)
        host = f"{self._to.registry.host}/"
        siblings = [it.removeprefix(host) for it in known.repositories if it.startswith(host)]
        others = [it for it in siblings if it != self._repository]
        try:
            self.blob(descriptor(known), layer.chunks, others)
        except ContentError:
            self._layers.forget(known)
            raise
        self._layers.pushed(known, f"{host}{self._repository}")
        return descriptor(known)

    def blob(self, blob: Descriptor, content: Content, siblings: Iterable[str] = ()) -> None:
        """Push a layer unless it is there, or in a repository that has it. Raises FetchError."""
        self._total += blob.size
        self._uploaded += self._uploads.push(self._repository, blob, content, siblings)

    def small(self, blob: Descriptor, content: bytes) -> Descriptor:
        """Push a layer that lies in memory. Raises FetchError."""
        self.blob(blob, _from(content))
        return blob

    def image(self, image: Image) -> Published:
        """Push what names the layers, the index last. Raises FetchError."""
        for config in image.configs:
            self._uploads.push(self._repository, config.descriptor, _from(config.content))
        registry, index = self._to.registry, image.index.descriptor.digest
        # Named by its content: such a tag never moves, and untagged manifests are garbage to most registries.
        named = [(it.descriptor.digest, it) for it in image.manifests]
        named.append((f"sha256-{index.removeprefix('sha256:')[:TAG_DIGITS]}", image.index))
        for reference, document in named:
            push = partial(registry.push_manifest, self._repository, reference, document)
            patiently(push, self._to.patience, self._to.reporter)
        reference = f"{registry.host}/{self._repository}@{index}"
        return Published(reference, self._uploaded, self._total - self._uploaded)


def _from(content: bytes) -> Content:
    def chunks(start: int) -> Iterator[bytes]:
        yield content[start:]

    return chunks
