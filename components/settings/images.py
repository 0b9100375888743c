"""larder:images: what runs, by digest or by the tag of a version."""

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
"""Digest that stands in for that of an image which nobody has named or made yet."""
_DIGEST = "name@sha256:<64 hex digits>; `make up` passes those of its own images."


def _by_digest(reference: object) -> str:
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        tagged = isinstance(reference, str) and "@" not in reference
        what = "names a tag or nothing, and tags move" if tagged else "is no digest reference"
        msg = f"{reference!r} {what}. Write {_DIGEST}"
        raise ValueError(msg)
    return reference


def _by_version(reference: object) -> str:
    if isinstance(reference, str) and _TAGGED.fullmatch(reference) and not reference.endswith(":latest"):
        return reference
    if isinstance(reference, str) and "@" not in reference:
        # `latest` would put another engine under the models with some `up` that was about something else.
        msg = f"{reference!r} names no version. Write registry/name:version, whose digest `up` asks for, or {_DIGEST}"
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
    """Digest references of the images, or versions whose digests the registry says."""

    sidecar: VersionedImage
    """Image of the gateway, and of everything that fetches weights; `make up` passes its own."""
    git_sync: VersionedImage | None = None
    """Image registry.k8s.io/git-sync/git-sync, version 4. Default: none; required by larder:manager."""

    @classmethod
    def admit(cls, stacks: Iterable[type["StackSettings"]]) -> None:
        """Take a field for each engine that one of the stacks may run."""
        engines = {engine: told for stack in stacks for engine, told in stack.IMAGES.items()}
        cls.take({_field(word): (VersionedImage, Field("", alias=word, description=engines[word])) for word in engines})

    def of(self, engine: str) -> str:
        """Return the image of an engine; empty where none is given."""
        return str(getattr(self, _field(engine)))

    @property
    def tagged(self) -> Mapping[str, str]:
        """Images that are named by a tag, by their words in a stack file."""
        named = {name: getattr(self, name) for name in type(self).model_fields}
        return {kebab(name): image for name, image in named.items() if image and "@" not in image}


def _field(engine: str) -> str:
    return engine.replace("-", "_")
