"""The weights image of a model: files under /models, one uncompressed layer each, and an index of what they are.

The same weights make the same bytes. Containerd mounts real images only, and unpacks these at the speed of the disk. An
index names the one set of layers for every platform, so that a node of any of them pulls it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..store.image_index import INDEX, Contents, Held
from .layer import Descriptor, Layer, described

PLATFORMS = ("amd64", "arm64")

CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"
MAX_MANIFEST = 4 << 20
"""Bytes; what the distribution specification lets every registry refuse."""


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
    configs = [document(CONFIG, _config(platform, layers)) for platform in PLATFORMS]
    manifests = [document(MANIFEST, _manifest(config.descriptor, layers)) for config in configs]
    listed = [
        {**manifest.descriptor.to_dict(), "platform": {"architecture": platform, "os": "linux"}}
        for platform, manifest in zip(PLATFORMS, manifests, strict=True)
    ]
    index: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": IMAGE_INDEX,
        "manifests": listed,
        "annotations": {"org.opencontainers.image.title": model},
    }
    return Image(tuple(configs), tuple(manifests), document(IMAGE_INDEX, index))


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


def document(media_type: str, value: Mapping[str, object]) -> Document:
    """The value as JSON without a space, in the order of its keys."""
    content = json.dumps(value, separators=(",", ":")).encode()
    return Document(content, described(media_type, content))
