"""larder:images: what runs, by digest."""

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from .base import Block

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
    llama_server: ImageReference = ""
    """An image that runs llama-server, name@sha256:…; `make up` passes its own."""
    shimmy: ImageReference = ""
    """An image with Shimmy on its PATH, name@sha256:…; `make up` passes its own."""

    def of(self, engine: str) -> str:
        """The image of an engine; empty where none is given."""
        return str(getattr(self, engine.replace("-", "_")))
