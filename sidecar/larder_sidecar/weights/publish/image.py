"""The weights image of a model: files under /models, one uncompressed layer each, and an index of the files.

The same weights make the same bytes. Containerd mounts real images only, and unpacks these at the speed of the disk.
The index of the image has the same layers for every platform, so that a node of any of them can pull it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..oci import CONFIG, IMAGE_INDEX, MANIFEST
from ..store.image_index import INDEX, Contents, ImageFile
from .layer import Descriptor, Layer, describe_content

PLATFORMS = ("amd64", "arm64")


@dataclass(frozen=True)
class Document:
    """A small JSON blob and its descriptor."""

    content: bytes
    descriptor: Descriptor


@dataclass(frozen=True)
class Image:
    """The documents that are pushed after the layers, in this order."""

    configs: tuple[Document, ...]
    manifests: tuple[Document, ...]
    index: Document


def index_layer(model: str, files: Sequence[tuple[str, ImageFile]]) -> Layer:
    """Return the layer of the index of files."""
    content = Contents(model=model, files=dict(sorted(files))).to_json().encode()
    return Layer(INDEX, content, len(content))


def build_image(model: str, layers: Sequence[Descriptor]) -> Image:
    """Return the image of these layers, for every platform."""
    platforms = [({"architecture": name, "os": "linux"}, _config(name, layers), layers) for name in PLATFORMS]
    return make_image(platforms, {"org.opencontainers.image.title": model})


def make_image(
    platforms: Sequence[tuple[Mapping[str, object], Mapping[str, object], Sequence[Descriptor]]],
    annotations: Mapping[str, str],
) -> Image:
    """Return the image of a platform, a config and layers for each of its manifests."""
    configs = tuple(make_document(CONFIG, config) for _, config, _ in platforms)
    manifests = tuple(
        make_document(
            MANIFEST,
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.descriptor.to_dict(),
                "layers": [layer.to_dict() for layer in layers],
            },
        )
        for config, (_, _, layers) in zip(configs, platforms, strict=True)
    )
    listed = [
        {**manifest.descriptor.to_dict(), "platform": dict(platform)}
        for manifest, (platform, _, _) in zip(manifests, platforms, strict=True)
    ]
    index = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": listed, "annotations": annotations}
    return Image(configs, manifests, make_document(IMAGE_INDEX, index))


def _config(platform: str, layers: Sequence[Descriptor]) -> dict[str, object]:
    root: dict[str, object] = {"type": "layers", "diff_ids": [layer.digest for layer in layers]}
    return {"architecture": platform, "os": "linux", "config": {}, "rootfs": root}


def make_document(media_type: str, value: Mapping[str, object]) -> Document:
    """Return a value as JSON without spaces, in the order of its keys."""
    content = json.dumps(value, separators=(",", ":")).encode()
    return Document(content, describe_content(media_type, content))
