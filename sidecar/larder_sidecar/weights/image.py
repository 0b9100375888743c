"""The weights image of a model: files under /models, one uncompressed layer each, and an index of what they are.

The same weights make the same bytes wherever and whenever: no times, no owners, one order. Uncompressed, because
weights do not compress, a layer's digest is then its diff_id, and containerd (which mounts real images only) unpacks at
the speed of the disk. An index names the one set of layers for every platform, so that a node of any of them pulls it.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, ValidationError

from ..config.base import Model
from .errors import ImageError

MODELS = "models"
"""The folder of the files; KServe mounts this one of an `oci+native://` image."""
INDEX = "larder.json"
"""At the root of the image, beside MODELS: engines that read the whole folder do not meet it."""
MAX_INDEX = 1 << 20
PLATFORMS = ("amd64", "arm64")

LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"
_BLOCK, _CHUNK = 512, 1 << 20


class Held(Model):
    """What a file of the image is."""

    bytes: int
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Contents(Model):
    """The index: every file of the model by its path below MODELS."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    model: str
    files: dict[str, Held]


def read_contents(path: Path) -> Contents:
    """The index of a mounted image. Raises ImageError."""
    try:
        with path.open("rb") as file:
            return Contents.from_json(file.read(MAX_INDEX))
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else "not an index"
        raise ImageError(
            f"{path}: {why}: no weights image is mounted here", "Name an image that `larder-sidecar publish` made."
        ) from error


@dataclass(frozen=True)
class Layer:
    """A tar with one file in it, as a stream: it may be larger than memory. `content` is the file or its bytes."""

    path: str
    content: Path | bytes
    size: int
    """Of the file, in bytes."""

    def chunks(self) -> Iterator[bytes]:
        """The tar; the same one at each call. Raises ImageError where the file has changed its size."""
        return (chunk for chunk, _ in self._parts())

    def described(self) -> tuple["Descriptor", str]:
        """What a manifest says of the tar, and the sha256 (hex) of the file in it, from one reading."""
        tar, file, size = hashlib.sha256(), hashlib.sha256(), 0
        for chunk, of_the_file in self._parts():
            tar.update(chunk)
            size += len(chunk)
            if of_the_file:
                file.update(chunk)
        return Descriptor(LAYER, f"sha256:{tar.hexdigest()}", size), file.hexdigest()

    def _parts(self) -> Iterator[tuple[bytes, bool]]:
        """Pieces of the tar, and whether they belong to the file."""
        for folder in reversed(PurePosixPath(self.path).parents[:-1]):
            yield _header(str(folder), tarfile.DIRTYPE, 0o755, 0), False
        yield _header(self.path, tarfile.REGTYPE, 0o644, self.size), False
        sent = 0
        for chunk in self._read():
            sent += len(chunk)
            yield chunk, True
        if sent != self.size:
            raise ImageError(f"{self.path} has {sent} bytes, not {self.size}", "It changed on the disk: start again.")
        yield b"\0" * (-self.size % _BLOCK + 2 * _BLOCK), False

    def _read(self) -> Iterator[bytes]:
        with io.BytesIO(self.content) if isinstance(self.content, bytes) else self.content.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


@dataclass(frozen=True)
class Descriptor:
    """What a manifest says of a blob."""

    media_type: str
    digest: str
    size: int

    def to_dict(self) -> dict[str, object]:
        """As it stands in a manifest."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True)
class Document:
    """A small JSON blob and its descriptor."""

    content: bytes
    descriptor: Descriptor


@dataclass(frozen=True)
class Image:
    """What is pushed after the layers, in this order."""

    configs: tuple[Document, ...]
    manifests: tuple[Document, ...]
    index: Document


def index_layer(model: str, files: Sequence[tuple[str, Held]]) -> Layer:
    """The layer of the index."""
    content = Contents(model=model, files=dict(sorted(files))).to_json().encode()
    return Layer(INDEX, content, len(content))


def assembled(model: str, layers: Sequence[Descriptor]) -> Image:
    """The image of these layers, for every platform."""
    configs = [_document(CONFIG, _config(platform, layers)) for platform in PLATFORMS]
    manifests = [_document(MANIFEST, _manifest(config.descriptor, layers)) for config in configs]
    described = [
        {**manifest.descriptor.to_dict(), "platform": {"architecture": platform, "os": "linux"}}
        for platform, manifest in zip(PLATFORMS, manifests, strict=True)
    ]
    index: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": IMAGE_INDEX,
        "manifests": described,
        "annotations": {"org.opencontainers.image.title": model},
    }
    return Image(tuple(configs), tuple(manifests), _document(IMAGE_INDEX, index))


def _config(platform: str, layers: Sequence[Descriptor]) -> dict[str, object]:
    root: dict[str, object] = {"type": "layers", "diff_ids": [layer.digest for layer in layers]}
    return {"architecture": platform, "os": "linux", "config": {}, "rootfs": root}


def _manifest(config: Descriptor, layers: Sequence[Descriptor]) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.to_dict(),
        "layers": [layer.to_dict() for layer in layers],
    }


def _document(media_type: str, value: dict[str, object]) -> Document:
    content = json.dumps(value, separators=(",", ":")).encode()
    return Document(content, Descriptor(media_type, f"sha256:{hashlib.sha256(content).hexdigest()}", len(content)))


def _header(path: str, kind: bytes, mode: int, size: int) -> bytes:
    # TarInfo's own defaults are what reproducibility wants: mtime 0, uid and gid 0, no names of them.
    entry = tarfile.TarInfo(f"{path}/" if kind == tarfile.DIRTYPE else path)
    entry.type, entry.mode, entry.size = kind, mode, size
    return entry.tobuf(tarfile.PAX_FORMAT)
