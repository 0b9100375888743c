"""An engine's image with the weights inside: the unchanged layers of its base, and the layers of a store.

The base's config, history and platforms stay. Docker's media types become OCI's: the blobs behind them are the same
bytes. Nothing is unpacked, so a base of any size costs its transfer, and none where the registry has it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ImageError
from ..oci import CONFIG, IMAGE_INDEX, MANIFEST, MAX_MANIFEST
from .image import Image, make_image
from .layer import LAYER, Descriptor

_DOCKER = "application/vnd.docker"
INDEXES = (IMAGE_INDEX, f"{_DOCKER}.distribution.manifest.list.v2+json")
MANIFESTS = (MANIFEST, f"{_DOCKER}.distribution.manifest.v2+json")
CONFIGS = (CONFIG, f"{_DOCKER}.container.image.v1+json")
_LAYERS: Mapping[str, str] = {
    **{f"{LAYER}{kind}": f"{LAYER}{kind}" for kind in ("", "+gzip", "+zstd")},
    f"{_DOCKER}.image.rootfs.diff.tar": LAYER,
    f"{_DOCKER}.image.rootfs.diff.tar.gzip": f"{LAYER}+gzip",
    f"{_DOCKER}.image.rootfs.diff.tar.zstd": f"{LAYER}+zstd",
}
STORE_OF = "store of plan "
"""Mark in the history of our images: an image with two sets of weights would serve both."""
_EPOCH = "1970-01-01T00:00:00Z"
_CHOOSE_ANOTHER = "Choose an image from a current version of Docker, Buildah or BuildKit."


@dataclass(frozen=True)
class PlatformManifest:
    """A manifest of a base, with its platform from the index."""

    platform: Mapping[str, Any]
    digest: str

    @property
    def name(self) -> str:
        """Return the name of the platform, as in `linux/arm64/v8`."""
        parts = [self.platform.get(key) for key in ("os", "architecture", "variant")]
        return "/".join(str(part) for part in parts if part)


@dataclass(frozen=True)
class Base:
    """A base for one platform."""

    listed: PlatformManifest
    config: Mapping[str, Any]
    layers: tuple[Descriptor, ...]
    """Layers with OCI's media types."""


def list_platforms(index: bytes, where: str) -> list[PlatformManifest] | None:
    """Return the manifests of an index for Linux; None for a manifest instead of an index. Raises ImageError."""
    document = _parse_object(index, where)
    if document.get("mediaType") in MANIFESTS or "layers" in document:
        return None
    if document.get("mediaType", IMAGE_INDEX) not in INDEXES or not isinstance(document.get("manifests"), list):
        raise _unsupported_error(where, document.get("mediaType", "a manifest without a media type"))
    named = [it for it in document["manifests"] if _is_descriptor(it)]
    found = [PlatformManifest(it["platform"], it["digest"]) for it in named if isinstance(it.get("platform"), dict)]
    # BuildKit lists attestations as manifests for unknown/unknown.
    return [it for it in found if it.platform.get("os") == "linux"]


def select_platforms(found: Sequence[PlatformManifest], platforms: Sequence[str], where: str) -> list[PlatformManifest]:
    """Return the manifests for `platforms`, or all; `linux/arm64` selects every variant. Raises ImageError."""
    missing = [wanted for wanted in platforms if not any(_matches(wanted, it) for it in found)]
    if missing or not found:
        has = ", ".join(it.name for it in found) or "no platform of Linux"
        what = f"no {' and no '.join(missing)}" if missing else "no platform"
        raise ImageError(f"{where}: the image has {what}; it has {has}", "Choose one of them, or another base.")
    return [it for it in found if not platforms or any(_matches(wanted, it) for wanted in platforms)]


def config_descriptor(manifest: bytes, where: str) -> Descriptor:
    """Return the descriptor of a manifest's config. Raises ImageError."""
    document = _parse_object(manifest, where)
    config = document.get("config")
    if document.get("schemaVersion") != 2 or not isinstance(config, dict) or not _is_descriptor(config):
        raise _unsupported_error(where, f"a manifest of schema {document.get('schemaVersion')}")
    if config.get("mediaType") not in CONFIGS or config["size"] > MAX_MANIFEST:
        raise _unsupported_error(where, f"a config of type {config.get('mediaType')} and {config['size']} bytes")
    return Descriptor(CONFIG, config["digest"], config["size"])


def parse_base(it: PlatformManifest | None, manifest: bytes, config: bytes, where: str) -> Base:
    """Return the base of a manifest and its config; `it` is its entry in an index. Raises ImageError."""
    document, about = _parse_object(manifest, where), _parse_object(config, where)
    layers = document.get("layers")
    if not isinstance(layers, list) or not all(map(_is_descriptor, layers)):
        raise _unsupported_error(where, "a manifest without layers")
    for layer in layers:
        if layer.get("mediaType") not in _LAYERS:
            raise _unsupported_error(where, f"a layer of type {layer.get('mediaType')}")
    steps = about["history"] if isinstance(about.get("history"), list) else []
    if any(isinstance(step, dict) and str(step.get("created_by")).startswith(STORE_OF) for step in steps):
        raise ImageError(f"{where}: the image contains weights already", "Use the engine's image without weights.")
    root = about.get("rootfs")
    if not isinstance(root, dict) or not isinstance(root.get("diff_ids"), list) or len(root["diff_ids"]) != len(layers):
        raise ImageError(f"{where}: config and manifest have different numbers of layers", _CHOOSE_ANOTHER)
    if it is None:
        keys = ("architecture", "os", "variant")
        it = PlatformManifest({key: about[key] for key in keys if isinstance(about.get(key), str)}, "")
    return Base(it, about, tuple(Descriptor(_LAYERS[x["mediaType"]], x["digest"], x["size"]) for x in layers))


def build_engine_image(bases: Sequence[Base], digest: str, layers: Sequence[tuple[Descriptor, str]]) -> Image:
    """Return the image of the bases from the image `digest`, with layers that each have a text for the history."""
    added = [layer for layer, _ in layers]
    platforms = [(base.listed.platform, _config(base, layers), (*base.layers, *added)) for base in bases]
    return make_image(platforms, {"org.opencontainers.image.base.digest": digest})


def _config(base: Base, layers: Sequence[tuple[Descriptor, str]]) -> dict[str, object]:
    root = {**base.config["rootfs"], "diff_ids": [*base.config["rootfs"]["diff_ids"], *(it.digest for it, _ in layers)]}
    config = {**base.config, "rootfs": root}
    if isinstance(history := base.config.get("history"), list):
        config["history"] = [*history, *({"created": _EPOCH, "created_by": text} for _, text in layers)]
    return config


def _matches(wanted: str, it: PlatformManifest) -> bool:
    return it.name == wanted or it.name.startswith(f"{wanted}/")


def _is_descriptor(value: object) -> bool:
    """Return True for a descriptor."""
    if not isinstance(value, dict):
        return False
    digest, size = value.get("digest"), value.get("size")
    # A digest becomes part of a URL: other characters could lead to another path.
    named = isinstance(digest, str) and re.fullmatch("sha256:[0-9a-f]{64}", digest)
    return bool(named) and type(size) is int and 0 <= size < 2**63 and isinstance(value.get("mediaType", ""), str)


def _parse_object(content: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _unsupported_error(where, "an answer that is not a manifest")
    return value


def _unsupported_error(where: str, what: object) -> ImageError:
    return ImageError(f"{where}: {str(what)[:100]} is not supported as a base", _CHOOSE_ANOTHER)
