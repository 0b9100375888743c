"""The index of a weights image: `larder.json` at its root lists the files with their sizes and hashes."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from ...config.base import Model
from ..errors import ImageError
from . import untrusted

MODELS = "models"
"""Folder of the files; KServe mounts this folder of an `oci+native://` image."""
INDEX = "larder.json"
"""Name of the index. It is outside MODELS, so that engines which read the whole folder do not find it."""
MAX_INDEX = 1 << 20


class ImageFile(Model):
    """A file of the image."""

    bytes: int
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Contents(Model):
    """The index: the files of the model by their paths below MODELS."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    model: str
    files: dict[str, ImageFile]


def read_contents(path: Path) -> Contents:
    """Read the index of a mounted image. Raises ImageError."""
    try:
        with untrusted.open_file(path) as file:
            return Contents.from_json(file.read(MAX_INDEX))
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else "not an index"
        raise ImageError(
            f"{path}: no weights image is mounted here ({why})", "Name an image that `larder-sidecar publish` made."
        ) from error
