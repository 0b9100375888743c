"""The done marker `<root>/.larder/<plan sha256>.json`: written last, it lists the files of a plan that is complete."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from ...config import layout
from ...config.base import Model
from ...config.weights import FIRST_PULL, WeightsFile, WeightsPlan
from ..errors import StoreError, WaitError
from ..progress import PERIOD, Reporter, Summary
from . import untrusted
from .disk import SCRATCH, STATE, list_entries, write_atomically

_LARGEST = 16 << 20
"""Bytes of a marker: enough for ten thousand files."""
MAX_BYTES = 64 << 20
"""Bytes of all markers of a store together."""
POLL_SECONDS = 0.5
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A sha256. The pattern matters: it becomes part of a path, and others may write a marker."""


class Stored(Model):
    """The facts of a file when it was verified."""

    bytes: int
    modified: int
    """Time of the last change in whole seconds: copies and some filesystems lose finer times."""
    sha256: Hash


class Marker(Model):
    """The content of a marker."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    plan: str
    completed_at: str
    seconds: float
    fetched_bytes: int
    files: dict[str, Stored]
    """Blobs and manifests by path relative to the root."""
    first_pull: dict[str, Hash] = Field(default_factory=dict)
    """Hashes of files whose hash the plan does not know, by URL."""


@dataclass(frozen=True)
class Fault:
    """A file that differs from its marker. `touched`: the size is the same, the time is not; the content may differ."""

    path: str
    touched: bool


def marker_path(root: Path, digest: str) -> Path:
    """Return the path of a plan's marker."""
    return root / layout.marker_path(digest)


def read_marker(root: Path, digest: str) -> Marker | None:
    """Read the marker of a plan; None if there is none, or it cannot be read."""
    return load_marker(marker_path(root, digest))


def write_marker(root: Path, marker: Marker) -> None:
    """Write a marker atomically."""
    write_atomically(marker_path(root, marker.plan), marker.to_json().encode(), scratch=root / SCRATCH)


def complete(
    root: Path, plan: WeightsPlan, result: Summary, files: Mapping[str, Stored], first_pull: Mapping[str, str]
) -> None:
    """Write the marker of a plan that is complete now."""
    marker = Marker(
        plan=plan.digest(),
        completed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(result.seconds, 3),
        fetched_bytes=result.fetched_bytes,
        files=dict(files),
        first_pull=dict(first_pull),
    )
    write_marker(root, marker)


def sha256_of(file: WeightsFile, recorded: Mapping[str, str]) -> str:
    """Return the hash of a file, from the hashes `recorded` by earlier pulls if the plan knows none."""
    return recorded[file.url] if file.sha256 == FIRST_PULL else file.sha256


def describe_file(path: Path, sha256: str) -> Stored:
    """Return the facts of a file that was just verified."""
    facts = path.stat()
    return Stored(bytes=facts.st_size, modified=int(facts.st_mtime), sha256=sha256)


def find_faults(root: Path, marker: Marker) -> list[Fault]:
    """Compare the disk with the marker by existence, size and time, without reading contents."""
    states = {path: _compare(root / path, was) for path, was in marker.files.items()}
    return [Fault(path, touched=state == "touched") for path, state in states.items() if state != "same"]


def verified_blobs(root: Path) -> dict[str, Stored]:
    """Return the blobs, by path, that a marker of the store lists and that have not changed since."""
    known: dict[str, Stored] = {}
    with contextlib.suppress(StoreError):  # blobs of the other markers are verified again
        for _, marker in load_markers(root):
            if marker:
                blobs = {name: was for name, was in marker.files.items() if name.startswith("blobs/")}
                known |= unchanged_files(root, blobs)
    return known


def unchanged_files(root: Path, files: Mapping[str, Stored]) -> dict[str, Stored]:
    """Return the files whose size and time are those of their verification."""
    return {name: was for name, was in files.items() if _compare(root / name, was) == "same"}


def first_pulls(root: Path) -> dict[str, str]:
    """Return the hashes that earlier pulls recorded, by URL."""
    known: dict[str, str] = {}
    with contextlib.suppress(StoreError):
        for _, marker in load_markers(root):
            known |= marker.first_pull if marker else {}
    return known


def load_markers(root: Path) -> Iterator[tuple[Path, Marker | None]]:
    """Yield the markers of a store with their files; None for one that cannot be read. Raises StoreError for many."""
    left = MAX_BYTES
    for path in list_entries(root / STATE):
        if path.suffix == ".json":
            content = _read(path)
            left -= len(content)
            if left < 0:
                where = f"{root / STATE}: the markers have more than {MAX_BYTES} bytes"
                raise StoreError(where, "Remove the markers of plans that no deployment needs.")
            yield path, _parse(content)


def wait_for(plan: WeightsPlan, root: Path, seconds: float, reporter: Reporter) -> Summary:
    """Return when the marker of `plan` is there and every file has its size. Raises WaitError after `seconds`."""
    began, reported = time.monotonic(), 0.0
    while (problem := _find_problem(plan, root)) is not None:
        now = time.monotonic()
        if now - began >= seconds:
            raise WaitError(
                f"{root} does not hold the plan {plan.digest()[:12]} after {seconds:g} s: {problem}",
                "Look at the Job that fills the store: kubectl get jobs, kubectl logs job/populate-...",
            )
        if now - reported >= PERIOD:
            reporter.event("waiting", reason=problem, seconds=round(now - began))
            reported = now
        time.sleep(min(POLL_SECONDS, max(0.0, began + seconds - now)))
    return Summary(0, plan.total_bytes(), time.monotonic() - began)


def _find_problem(plan: WeightsPlan, root: Path) -> str | None:
    marker = read_marker(root, plan.digest())
    if marker is None:
        return "it has no done marker yet"
    # Another time is no fault here: copies change it, and a reader cannot repair it.
    gone: list[Fault] = [fault for fault in find_faults(root, marker) if not fault.touched]
    return f"{gone[0].path} is missing or has another size" if gone else None


def _compare(path: Path, was: Stored) -> Literal["same", "touched", "gone"]:
    try:
        facts = path.stat()
    except (OSError, ValueError):  # ValueError: NUL in a path
        return "gone"
    if facts.st_size != was.bytes:
        return "gone"
    return "same" if int(facts.st_mtime) == was.modified else "touched"


def load_marker(path: Path) -> Marker | None:
    """Read the marker in a file; None if there is none, or it cannot be read."""
    return _parse(_read(path))


def _read(path: Path) -> bytes:
    try:
        return untrusted.read_file(path, _LARGEST)
    except OSError:
        return b""


def _parse(content: bytes) -> Marker | None:
    try:
        return Marker.from_json(content)
    except ValidationError:
        return None
