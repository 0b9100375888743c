"""The index of a weights image, `larder.json` at its root: which files the image holds, and what each of them is."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from ...config.base import Model
from ..errors import ImageError
from . import untrusted

MODELS = "models"
"""The folder of the files; KServe mounts this one of an `oci+native://` image."""
INDEX = "larder.json"
"""At the root of the image, beside MODELS: engines that read the whole folder do not meet it."""
MAX_INDEX = 1 << 20


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
        with untrusted.content(path) as file:
            return Contents.from_json(file.read(MAX_INDEX))
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else "not an index"
        raise ImageError(
            f"{path}: {why}: no weights image is mounted here", "Name an image that `larder-sidecar publish` made."
        ) from error
