"""The done marker: `<root>/.larder/<plan sha256>.json`, written last, says that a store holds a plan and as what."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from ...config.base import Model
from ..errors import StoreError
from . import untrusted
from .disk import SCRATCH, STATE, entries, write_atomically

_LARGEST = 16 << 20
"""Bytes of a marker: of ten thousand files and more."""
MOST_BYTES = 64 << 20
"""Bytes of all markers of a store."""
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""It becomes part of a path: a marker is a file that others may write."""


class Stored(Model):
    """A file as it was when it was verified."""

    bytes: int
    modified: int
    """mtime in whole seconds: finer times do not survive copies and some filesystems."""
    sha256: Hash


class Marker(Model):
    """The whole file."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    plan: str
    completed_at: str
    seconds: float
    fetched_bytes: int
    files: dict[str, Stored]
    """Blobs and manifests by path relative to the root."""
    first_pull: dict[str, Hash] = Field(default_factory=dict)
    """URL -> sha256 for files whose hash the plan does not know."""


@dataclass(frozen=True)
class Fault:
    """A file that is not as the marker says. `touched`: same size, other time, so its content is in doubt."""

    path: str
    touched: bool


def marker_path(root: Path, digest: str) -> Path:
    """Where the marker of a plan lies."""
    return root / STATE / f"{digest}.json"


def read_marker(root: Path, digest: str) -> Marker | None:
    """The marker of a plan; None where there is none that can be read."""
    return load(marker_path(root, digest))


def write_marker(root: Path, marker: Marker) -> None:
    """Write it atomically."""
    write_atomically(marker_path(root, marker.plan), marker.to_json().encode(), scratch=root / SCRATCH)


def stored(path: Path, sha256: str) -> Stored:
    """What to remember of a file just verified."""
    facts = path.stat()
    return Stored(bytes=facts.st_size, modified=int(facts.st_mtime), sha256=sha256)


def faults(root: Path, marker: Marker) -> list[Fault]:
    """Compare the disk with the marker by existence, size and time; contents are not read."""
    found = []
    for path, was in marker.files.items():
        state = _compare(root / path, was)
        if state != "same":
            found.append(Fault(path, touched=state == "touched"))
    return found


def vouched(root: Path) -> dict[str, Stored]:
    """Blobs that any marker of the store verified and that look untouched since, by path."""
    known: dict[str, Stored] = {}
    with contextlib.suppress(StoreError):  # what the rest would vouch for is read again
        for _, marker in markers(root):
            if marker:
                blobs = {name: was for name, was in marker.files.items() if name.startswith("blobs/")}
                known |= untouched(root, blobs)
    return known


def untouched(root: Path, files: Mapping[str, Stored]) -> dict[str, Stored]:
    """Return those of the files that look as they did when they were verified."""
    return {name: was for name, was in files.items() if _compare(root / name, was) == "same"}


def first_pulls(root: Path) -> dict[str, str]:
    """Hashes that earlier pulls recorded, by URL."""
    known: dict[str, str] = {}
    with contextlib.suppress(StoreError):
        for _, marker in markers(root):
            known |= marker.first_pull if marker else {}
    return known


def markers(root: Path) -> Iterator[tuple[Path, Marker | None]]:
    """All markers of a store, each with its file; None for one that cannot be read. Raises StoreError for too many."""
    left = MOST_BYTES
    for path in entries(root / STATE):
        if path.suffix == ".json":
            content = _content(path)
            left -= len(content)
            if left < 0:
                where = f"{root / STATE}: the markers have more than {MOST_BYTES} bytes"
                raise StoreError(where, "Remove those of plans that nobody wants.")
            yield path, _parsed(content)


def _compare(path: Path, was: Stored) -> Literal["same", "touched", "gone"]:
    try:
        facts = path.stat()
    except (OSError, ValueError):  # ValueError: NUL in a path
        return "gone"
    if facts.st_size != was.bytes:
        return "gone"
    return "same" if int(facts.st_mtime) == was.modified else "touched"


def load(path: Path) -> Marker | None:
    """The marker in a file; None where there is none that can be read."""
    return _parsed(_content(path))


def _content(path: Path) -> bytes:
    try:
        return untrusted.read(path, _LARGEST)
    except OSError:
        return b""


def _parsed(content: bytes) -> Marker | None:
    try:
        return Marker.from_json(content)
    except ValidationError:
        return None
