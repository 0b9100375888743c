"""larder:images: images by digest, or by the tag of a version."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

from larder_sidecar.config.base import kebab
from pydantic import BeforeValidator, Field, WithJsonSchema

from .base import GrowingBlock

if TYPE_CHECKING:
    from .stack import StackSettings

_REFERENCE = re.compile(r"^[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$")
_TAGGED = re.compile(r"^[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9._-]+)+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")
UNKNOWN = f"sha256:{'0' * 64}"
"""Placeholder for the digest of an image that is not named or built yet."""
_DIGEST = "name@sha256:<64 hex digits>; `make up` passes those of its own images."


def _by_digest(reference: object) -> str:
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        tagged = isinstance(reference, str) and "@" not in reference
        what = "has no digest, and tags move" if tagged else "is not a digest reference"
        msg = f"{reference!r} {what}. Fix: write {_DIGEST}"
        raise ValueError(msg)
    return reference


def _by_version(reference: object) -> str:
    if isinstance(reference, str) and _TAGGED.fullmatch(reference) and not reference.endswith(":latest"):
        return reference
    if isinstance(reference, str) and "@" not in reference:
        # `latest` would change the engine in an `up` that is about something else.
        msg = f"{reference!r} names no version. Fix: write registry/name:version or {_DIGEST}"
        raise ValueError(msg)
    return _by_digest(reference)


ImageReference = Annotated[
    str, BeforeValidator(_by_digest), WithJsonSchema({"type": "string", "pattern": _REFERENCE.pattern})
]
VersionedImage = Annotated[
    str,
    BeforeValidator(_by_version),
    WithJsonSchema({"type": "string", "pattern": f"{_REFERENCE.pattern}|{_TAGGED.pattern}"}),
]


class Images(GrowingBlock):
    """Digest references of the images, or versions whose digests come from the registry."""

    sidecar: VersionedImage
    """Image of the sidecar: the gateway, the manager and `fetch`; `make up` passes its own."""
    git_sync: VersionedImage | None = None
    """Image registry.k8s.io/git-sync/git-sync, version 4. Default: none; required by larder:manager."""

    @classmethod
    def admit(cls, stacks: Iterable[type["StackSettings"]]) -> None:
        """Add a field for each engine that one of the stacks may run."""
        engines = {engine: about for stack in stacks for engine, about in stack.IMAGES.items()}
        cls.take({_field(word): (VersionedImage, Field("", alias=word, description=engines[word])) for word in engines})

    def of(self, engine: str) -> str:
        """Return the image of an engine; empty if the block names none."""
        return str(getattr(self, _field(engine)))

    @property
    def tagged(self) -> Mapping[str, str]:
        """Return the images that are named by a tag, by their keys in a stack file."""
        named = {name: getattr(self, name) for name in type(self).model_fields}
        return {kebab(name): image for name, image in named.items() if image and "@" not in image}


def _field(engine: str) -> str:
    return engine.replace("-", "_")
