"""OCI: names of images and registries, and the media types of manifests."""

import re
from dataclasses import dataclass

from ..config.weights import REPOSITORY
from .errors import PlanError

CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"
MAX_MANIFEST = 4 << 20
"""Bytes of a manifest; the distribution specification lets registries refuse larger ones."""

_HOST = r"([A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-f:]+\](?::[0-9]{1,5})?)"
_DESTINATION = re.compile(f"{_HOST}/({REPOSITORY})")
_IMAGE = re.compile(rf"{_HOST}/({REPOSITORY})@(sha256:[0-9a-f]{{64}})")
DOCKER_HUB = "docker.io"
_DOCKER_HUB_API = "registry-1.docker.io"
_DOCKER_HUB_NAMES = {DOCKER_HUB, _DOCKER_HUB_API, "index.docker.io", "registry.docker.io", "registry.hub.docker.com"}
"""Names of Docker Hub. Docker takes the first three for one registry; people write the others too."""


def registry_name(host: str) -> str:
    """Return the canonical name of a registry: in lower case, and docker.io for all names of Docker Hub."""
    name = host.lower()
    return DOCKER_HUB if name.removesuffix(":443").removesuffix(".") in _DOCKER_HUB_NAMES else name


def registry_address(host: str) -> str:
    """Return the host, with its port, that answers for a registry."""
    name = registry_name(host)
    return _DOCKER_HUB_API if name == DOCKER_HUB else name


def repository_name(host: str, repository: str) -> str:
    """Return the full name of a repository: on Docker Hub, those of one word are under `library/`."""
    return f"library/{repository}" if registry_name(host) == DOCKER_HUB and "/" not in repository else repository


@dataclass(frozen=True)
class RegistryFolder:
    """A folder of a registry."""

    host: str
    prefix: str


@dataclass(frozen=True)
class ImageName:
    """An image by digest."""

    host: str
    repository: str
    digest: str


def parse_destination(text: str) -> RegistryFolder:
    """Parse REGISTRY/PREFIX. Raises PlanError."""
    found = _DESTINATION.fullmatch(text)
    if found is None:
        raise PlanError(f"--to {text!r} is not a destination", "Write REGISTRY/PREFIX, as in registry.example/weights.")
    return RegistryFolder(registry_name(found[1]), found[2])


def parse_image_name(text: str) -> ImageName:
    """Parse REGISTRY/NAME@sha256:…; the registry is required. Raises PlanError."""
    found = _IMAGE.fullmatch(text)
    # Without a dot or a port the first word is no host: docker would look for it at its own.
    if found is None or not (re.search(r"[.:]", found[1]) or found[1] == "localhost"):
        what = "is not pinned" if "@" not in text else "is not an image with its registry"
        raise PlanError(
            f"--engine {text!r} {what}", "Write REGISTRY/NAME@sha256:…, as in docker.io/ollama/ollama@sha256:…"
        )
    return ImageName(registry_name(found[1]), repository_name(found[1], found[2]), found[3])
