"""The push of an image: its layers first, then the documents that name them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from ..errors import ContentError
from ..progress import Reporter
from ..retry import Patience, retry_request
from .image import Image
from .layer import Descriptor
from .layer_cache import LayerCache
from .registry import Registry
from .upload import CHUNK, Content, Uploads
from .upload_state import UploadStates

TAG_DIGITS = 12


@dataclass(frozen=True)
class Published:
    """An image in the registry."""

    reference: str
    """Reference of the image: host/repository@sha256:…"""
    uploaded_bytes: int
    """Uploaded bytes of layers."""
    reused_bytes: int


@dataclass(frozen=True)
class Destination:
    """The destination of images: repositories below `prefix` of a registry, blobs in parts of `chunk` bytes."""

    registry: Registry
    prefix: str
    reporter: Reporter = field(default_factory=Reporter)
    patience: Patience = field(default_factory=Patience)
    chunk: int = CHUNK


class ImagePush:
    """The push of one image into `repository`."""

    def __init__(self, to: Destination, repository: str, layers: LayerCache, sessions: UploadStates) -> None:
        self._to, self._repository, self._layers = to, f"{to.prefix}/{repository}", layers
        self._uploads = Uploads(to.registry, sessions, to.reporter, to.patience, to.chunk)
        self._total = self._uploaded = 0

    def push_weights(self, path: str, sha256: str, size: int) -> Descriptor:
        """Push the layer that has a blob of the store at `path`. Raises FetchError."""
        layer, known = self._layers.find(path, sha256, size)
        host = f"{self._to.registry.host}/"
        siblings = [it.removeprefix(host) for it in known.repositories if it.startswith(host)]
        others = [it for it in siblings if it != self._repository]
        try:
            self.push_blob(known.descriptor, layer.chunks, others)
        except ContentError:
            self._layers.forget(known)
            raise
        self._layers.add_repository(known, f"{host}{self._repository}")
        return known.descriptor

    def push_blob(self, blob: Descriptor, content: Content, siblings: Iterable[str] = ()) -> None:
        """Push a layer unless it is there, or can be mounted from a sibling. Raises FetchError."""
        self._total += blob.size
        self._uploaded += self._uploads.push(self._repository, blob, content, siblings)

    def push_content(self, blob: Descriptor, content: bytes) -> Descriptor:
        """Push a layer from memory. Raises FetchError."""
        self.push_blob(blob, _as_content(content))
        return blob

    def push_image(self, image: Image) -> Published:
        """Push the documents that name the layers, the index last. Raises FetchError."""
        for config in image.configs:
            self._uploads.push(self._repository, config.descriptor, _as_content(config.content))
        registry, index = self._to.registry, image.index.descriptor.digest
        # The tag is named by the content, so it never moves; most registries collect untagged manifests as garbage.
        named = [(it.descriptor.digest, it) for it in image.manifests]
        named.append((f"sha256-{index.removeprefix('sha256:')[:TAG_DIGITS]}", image.index))
        for reference, document in named:
            push = partial(registry.push_manifest, self._repository, reference, document)
            retry_request(push, self._to.patience, self._to.reporter)
        reference = f"{registry.host}/{self._repository}@{index}"
        return Published(reference, self._uploaded, self._total - self._uploaded)


def _as_content(content: bytes) -> Content:
    def chunks(start: int) -> Iterator[bytes]:
        yield content[start:]

    return chunks
