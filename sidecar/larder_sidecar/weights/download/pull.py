"""Brings one GGUF file of a hub into a folder: whole, verified and under its own name, or not at all.

What a plan does for a store beforehand, this does for a folder when somebody asks. Killed at any moment, the folder
holds no half file under a model's name, and the next pull of the same file goes on where this one was.
"""

import hashlib
import itertools
import os
import re
import shutil
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from ...config.weights import FIRST_PULL, WeightsFile
from ..client.address import shown
from ..errors import DiskFullError, FetchError, GgufError, HubError, OccupiedError
from ..progress import JsonValue, Reporter
from ..retry import Patience
from ..sources.hub import Hub, HubFile
from ..store import untrusted
from ..store.disk import MOST_ENTRIES, PARTS, STATE, explained, prepare_state, sweep
from ..store.gguf import GgufInfo, check_gguf
from ..store.lease import STALE_SECONDS, Holder, Lease
from .download import Download
from .fetch import SPARE
from .hosts import Host
from .partial import Part

_WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}"
_READ = 4 << 20
MOST_FILES = 1000
"""Models of a folder that are listed."""
LEASE_SECONDS = STALE_SECONDS + 15
"""For another pod that pulls into the same claim: long enough to see that one which was lost is gone."""


class Wanted(BaseModel):
    """What is asked for: a repository and one of its files. Other keys mean nothing here."""

    model_config = ConfigDict(frozen=True, strict=True)

    model: Annotated[str, Field(pattern=rf"^{_WORD}/{_WORD}$")]
    filename: Annotated[str, Field(pattern=rf"^({_WORD}/){{0,4}}{_WORD}\.gguf$", max_length=200)]

    @property
    def name(self) -> str:
        """The file's own name; folders of the repository are not repeated here."""
        return self.filename.rpartition("/")[2]

    def at(self, endpoint: str, revision: str, metadata: HubFile | None = None) -> WeightsFile:
        """The file at a revision, as the download wants to know it."""
        return WeightsFile(
            path=self.filename,
            url=f"{endpoint}/{self.model}/resolve/{quote(revision, safe='')}/{quote(self.filename)}",
            revision=revision,
            bytes=(metadata and metadata.bytes) or 1,
            sha256=(metadata and metadata.sha256) or FIRST_PULL,
        )


class StoppedError(FetchError):
    """Whoever ran the pull wants it no more."""


@dataclass(frozen=True)
class Pulled:
    """A file that is in the folder, whole and of a kind that engines load."""

    path: Path
    bytes: int
    reused: bool
    """It was there already."""


@dataclass
class TellTo(Reporter):
    """Passes events on instead of printing them."""

    tell: Callable[[str, dict[str, JsonValue]], None] = field(kw_only=True)

    def event(self, event: str, **facts: JsonValue) -> None:
        """One event."""
        self.tell(event, facts)


@dataclass
class Pull:
    """One pull. `stop` ends it, at the next chunk; `free` tells the free bytes of a folder's filesystem."""

    wanted: Wanted
    folder: Path
    endpoint: str
    hub: Hub
    reporter: Reporter
    stop: threading.Event = field(default_factory=threading.Event)
    patience: Patience = field(default_factory=Patience)
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free

    def run(self) -> Pulled:
        """Bring the file. Raises FetchError; LeaseError where another pod pulls into the folder."""
        file = self._known()
        with explained(self.folder):
            prepare_state(self.folder)
            with Lease(self.folder / STATE / "lease", wait_seconds=LEASE_SECONDS, waiting=self._wait) as lease:
                sweep(self.folder)
                return self._bring(file, lease)

    def _wait(self, holder: Holder) -> bool:
        self.reporter.event("waiting", reason=f"{holder.host} is pulling into this folder since {holder.since}")
        self._go_on()
        return False

    def _known(self) -> WeightsFile:
        """The file pinned to the commit that `main` is now."""
        main = self.wanted.at(self.endpoint, "main")
        found = self.hub.look_up(main)
        if not found.bytes or not re.fullmatch(r"[0-9a-f]{40}", found.commit):
            raise HubError(
                f"{shown(main.url)}: the hub tells no size or no commit", "Pull a file that the hub keeps in LFS."
            )
        return self.wanted.at(self.endpoint, found.commit, found)

    def _bring(self, file: WeightsFile, lease: Lease) -> Pulled:
        target = self.folder / self.wanted.name
        if target.exists() or target.is_symlink():
            self._must_equal(target, file)
            return Pulled(target, file.bytes, reused=True)

        def guard() -> None:
            lease.check()
            self._go_on()

        path = self.folder / PARTS / _part_name(file)
        # First, for the size is what the hub says.
        self._require_space(file.bytes - min(file.bytes, _allocated(path)))
        with Part(path, file.bytes) as part:
            self.reporter.event("starting", bytes=file.bytes, resumed_at=part.held)
            download = Download(self.hub, file, Host(), self.patience, self.reporter, guard, self.stop.wait)
            download.into(part, None if file.sha256 == FIRST_PULL else file.sha256)
            named = f"{self.wanted.model}/{self.wanted.filename}"
            try:
                _check_kind(check_gguf(part.path, named), named)
            except GgufError:
                part.discard()
                raise
            lease.confirm()
            if target.exists():  # somebody brought it meanwhile
                self._must_equal(target, file)
            part.place(target)
        return Pulled(target, file.bytes, reused=False)

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise StoppedError(f"{self.wanted.filename}: the pull was stopped", "Pull again: what is here is resumed.")

    def _must_equal(self, target: Path, file: WeightsFile) -> None:
        if target.is_file() and target.stat().st_size == file.bytes and _sha256(target, self._go_on) == file.sha256:
            return
        raise OccupiedError(
            f"{target} is there already and is another file", "Nothing was overwritten; remove it, then pull again."
        )

    def _require_space(self, missing: int) -> None:
        if missing and missing + SPARE > (free := self.free(self.folder)):
            raise DiskFullError(
                f"{self.folder}: {missing + SPARE} bytes are needed, {free} are free", "Make the volume larger."
            )


def names_of(folder: Path) -> list[str]:
    """Models of the folder as llama-server calls them: the files' names without `.gguf`, whatever is in them."""
    try:
        with os.scandir(folder) as entries:
            seen = itertools.islice(entries, MOST_ENTRIES)
            found = (entry.name for entry in seen if entry.name.endswith(".gguf") and Path(entry).is_file())
            return sorted(name.removesuffix(".gguf") for name in itertools.islice(found, MOST_FILES))
    except OSError:
        return []


def _check_kind(info: GgufInfo, name: str) -> None:
    if info.splits != 1 or info.kind != "model" or info.architecture == "clip":
        kind = f"part of {info.splits} files" if info.splits != 1 else f"a {info.kind} ({info.architecture})"
        raise GgufError(f"{name}: the file is {kind}, not a whole model", "Pull a model that is one file.")
    if not info.tensors:
        raise GgufError(f"{name}: the file has no tensors, so it is no model", "Pull a model.")


def _part_name(file: WeightsFile) -> str:
    known = file.sha256 != FIRST_PULL
    return file.sha256 if known else f"first-{hashlib.sha256(file.url.encode()).hexdigest()[:32]}"


def _allocated(path: Path) -> int:
    """Bytes of the disk that a file has already."""
    try:
        facts = path.lstat()
    except OSError:
        return 0
    return facts.st_blocks * 512 if stat.S_ISREG(facts.st_mode) else 0


def _sha256(path: Path, guard: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with untrusted.content(path) as content:
        while chunk := content.read(_READ):
            digest.update(chunk)
            guard()
    return digest.hexdigest()
