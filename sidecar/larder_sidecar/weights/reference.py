"""Names of images and of the places they go to, as a command line has them."""

import re
from dataclasses import dataclass

from ..config.weights import REPOSITORY
from .errors import PlanError

_HOST = r"([A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-f:]+\](?::[0-9]{1,5})?)"
_DESTINATION = re.compile(f"{_HOST}/({REPOSITORY})")
_IMAGE = re.compile(rf"{_HOST}/({REPOSITORY})@(sha256:[0-9a-f]{{64}})")
_DOCKER_HUB = {"docker.io": "registry-1.docker.io"}
"""Where a name that people write is not the host that answers."""


@dataclass(frozen=True)
class Place:
    """A folder of a registry."""

    host: str
    prefix: str


@dataclass(frozen=True)
class ImageName:
    """An image by digest."""

    host: str
    repository: str
    digest: str


def place(text: str) -> Place:
    """From REGISTRY/PREFIX. Raises PlanError."""
    found = _DESTINATION.fullmatch(text)
    if found is None:
        raise PlanError(f"--to {text!r} names no place", "Write REGISTRY/PREFIX, as in registry.example/weights.")
    return Place(found[1], found[2])


def image_name(text: str) -> ImageName:
    """From REGISTRY/NAME@sha256:…, the registry stated. Raises PlanError."""
    found = _IMAGE.fullmatch(text)
    # Without a dot or a port the first word is no host: docker would look for it at its own.
    if found is None or not (re.search(r"[.:]", found[1]) or found[1] == "localhost"):
        what = "names a tag or nothing, and tags move" if "@" not in text else "is no image with its registry"
        raise PlanError(
            f"--engine {text!r} {what}", "Write REGISTRY/NAME@sha256:…, as in docker.io/ollama/ollama@sha256:…"
        )
    return ImageName(_DOCKER_HUB.get(found[1], found[1]), found[2], found[3])
