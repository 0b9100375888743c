"""larder:images: what runs, by digest."""

import re
from typing import Annotated, Self

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema, model_validator

from .base import Block, Known

_REFERENCE = re.compile(r"^[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$")


def _by_digest(reference: object) -> str:
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        tagged = isinstance(reference, str) and "@" not in reference
        what = "names a tag or nothing, and tags move" if tagged else "is no digest reference"
        msg = f"{reference!r} {what}. Write name@sha256:<64 hex digits>; `make up` passes those of its own images."
        raise ValueError(msg)
    return reference


ImageReference = Annotated[
    str, BeforeValidator(_by_digest), WithJsonSchema({"type": "string", "pattern": _REFERENCE.pattern})
]


OF_STACK = {"ollama": "ollama", "kserve": "vllm"}
"""The image that each stack needs beside the sidecar's."""


class Images(Block):
    """Digest references of the images."""

    sidecar: ImageReference
    """The sidecar image, name@sha256:…; `make up` passes its own."""
    ollama: ImageReference = ""
    """The Ollama image, name@sha256:…; `make up` passes its own."""
    vllm: ImageReference = ""
    """vLLM's ROCm image, name@sha256:…; on the embedded cluster `make up` passes a stand-in without GPU."""
    git_sync: ImageReference | None = None
    """The git-sync image (registry.k8s.io/git-sync/git-sync, version 4), name@sha256:…; larder:manager needs it."""

    @model_validator(mode="after")
    def _every_stack_has_its_own(self, info: ValidationInfo) -> Self:
        known = Known.of(info)
        stacks = known.stacks if known else ()
        lacking = [(image, stack) for stack, image in OF_STACK.items() if stack in stacks and not getattr(self, image)]
        if lacking:
            what = ", ".join(f"{image} (for larder:{stack})" for image, stack in lacking)
            msg = f"lacks {what}. Write name@sha256:<64 hex digits>; `make up` passes those of its own images."
            raise ValueError(msg)
        return self
