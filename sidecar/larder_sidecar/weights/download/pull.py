"""The pull of one GGUF file from a hub into a folder: complete, verified and under its own name, or not at all.

A client requests it at run time. After a kill at any moment, no incomplete file has a model's name, and the next pull
of the file goes on where this one stopped.
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
from ..client.address import redact_url
from ..errors import DiskFullError, FetchError, GgufError, HubError, OccupiedError
from ..progress import JsonValue, Reporter
from ..retry import Patience
from ..sources.hub import Hub, HubFile
from ..store import untrusted
from ..store.disk import MAX_ENTRIES, PARTS, STATE, make_own_folders, sweep, translate_os_errors
from ..store.gguf import GgufInfo, check_gguf
from ..store.lease import STALE_SECONDS, Lease
from ..store.lease_holder import Holder
from .download import Download
from .fetch import SPARE
from .hosts import Host
from .partial import Part

_WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}"
MAX_FILES = 1000
"""Maximum number of models that are listed."""
LEASE_SECONDS = STALE_SECONDS + 15
"""Wait for another pod that pulls into the same claim: long enough for the lease of a lost pod to expire."""


class PullTarget(BaseModel):
    """The target of a pull: a repository and one of its files. Other keys are ignored."""

    model_config = ConfigDict(frozen=True, strict=True)

    model: Annotated[str, Field(pattern=rf"^{_WORD}/{_WORD}$")]
    filename: Annotated[str, Field(pattern=rf"^({_WORD}/){{0,4}}{_WORD}\.gguf$", max_length=200)]

    @property
    def name(self) -> str:
        """Return the name of the file without the repository's folders."""
        return self.filename.rpartition("/")[2]

    def at(self, endpoint: str, revision: str, metadata: HubFile | None = None) -> WeightsFile:
        """Return the file at a revision, for the download."""
        return WeightsFile(
            path=self.filename,
            url=f"{endpoint}/{self.model}/resolve/{quote(revision, safe='')}/{quote(self.filename)}",
            revision=revision,
            bytes=(metadata and metadata.bytes) or 1,
            sha256=(metadata and metadata.sha256) or FIRST_PULL,
        )


class PullStoppedError(FetchError):
    """A pull that was stopped by its owner."""


@dataclass(frozen=True)
class Pulled:
    """A complete file in the folder, of a kind that engines load."""

    path: Path
    bytes: int
    reused: bool
    """True if the file was there before."""


@dataclass
class ForwardingReporter(Reporter):
    """A reporter that passes events on."""

    tell: Callable[[str, dict[str, JsonValue]], None] = field(kw_only=True)

    def event(self, event: str, **facts: JsonValue) -> None:
        """Pass an event on."""
        self.tell(event, facts)


@dataclass
class Pull:
    """A pull. `stop` ends it at the next chunk; `free` returns the free bytes of a folder's filesystem."""

    wanted: PullTarget
    folder: Path
    endpoint: str
    hub: Hub
    reporter: Reporter
    stop: threading.Event = field(default_factory=threading.Event)
    patience: Patience = field(default_factory=Patience)
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free

    def run(self) -> Pulled:
        """Fetch the file. Raises FetchError; LeaseError if another pod pulls into the folder."""
        file = self._pin()
        with translate_os_errors(self.folder):
            make_own_folders(self.folder)
            with Lease(self.folder / STATE / "lease", wait_seconds=LEASE_SECONDS, waiting=self._on_wait) as lease:
                sweep(self.folder)
                return self._fetch_file(file, lease)

    def _on_wait(self, holder: Holder) -> bool:
        self.reporter.event("waiting", reason=f"{holder.host} is pulling into this folder since {holder.since}")
        self._check_stopped()
        return False

    def _pin(self) -> WeightsFile:
        """Return the file, pinned to the current commit of `main`."""
        main = self.wanted.at(self.endpoint, "main")
        found = self.hub.look_up(main)
        if not found.bytes or not re.fullmatch(r"[0-9a-f]{40}", found.commit):
            raise HubError(
                f"{redact_url(main.url)}: the hub states no size or no commit", "Pull a file that the hub keeps in LFS."
            )
        return self.wanted.at(self.endpoint, found.commit, found)

    def _fetch_file(self, file: WeightsFile, lease: Lease) -> Pulled:
        target = self.folder / self.wanted.name
        if target.exists() or target.is_symlink():
            self._require_equal(target, file)
            return Pulled(target, file.bytes, reused=True)

        def guard() -> None:
            lease.check()
            self._check_stopped()

        path = self.folder / PARTS / _part_name(file)
        # The check comes first: the size is only the hub's word.
        self._require_space(file.bytes - min(file.bytes, _allocated_bytes(path)))
        with Part(path, file.bytes) as part:
            self.reporter.event("starting", bytes=file.bytes, resumed_at=part.held)
            download = Download(self.hub, file, Host(), self.patience, self.reporter, guard, self.stop.wait)
            download.fetch_into(part, None if file.sha256 == FIRST_PULL else file.sha256)
            named = f"{self.wanted.model}/{self.wanted.filename}"
            try:
                _check_kind(check_gguf(part.path, named), named)
            except GgufError:
                part.discard()
                raise
            lease.confirm()
            if target.exists():  # another process has created it meanwhile
                self._require_equal(target, file)
            part.move_to(target)
        return Pulled(target, file.bytes, reused=False)

    def _check_stopped(self) -> None:
        if self.stop.is_set():
            raise PullStoppedError(f"{self.wanted.filename}: the pull was stopped", "Pull again: the pull resumes.")

    def _require_equal(self, target: Path, file: WeightsFile) -> None:
        if (
            target.is_file()
            and target.stat().st_size == file.bytes
            and untrusted.hash_file(target, self._check_stopped) == file.sha256
        ):
            return
        raise OccupiedError(
            f"{target} exists and is another file", "Remove it and pull again; nothing was overwritten."
        )

    def _require_space(self, missing: int) -> None:
        if missing and missing + SPARE > (free := self.free(self.folder)):
            raise DiskFullError(
                f"{self.folder}: {missing + SPARE} bytes are needed, {free} are free", "Make the volume larger."
            )


def list_models(folder: Path) -> list[str]:
    """Return the models of the folder as llama-server calls them: names of files without `.gguf`."""
    try:
        with os.scandir(folder) as entries:
            seen = itertools.islice(entries, MAX_ENTRIES)
            found = (entry.name for entry in seen if entry.name.endswith(".gguf") and Path(entry).is_file())
            return sorted(name.removesuffix(".gguf") for name in itertools.islice(found, MAX_FILES))
    except OSError:
        return []


def _check_kind(info: GgufInfo, name: str) -> None:
    if info.splits != 1 or info.kind != "model" or info.architecture == "clip":
        kind = f"part of {info.splits} files" if info.splits != 1 else f"a {info.kind} ({info.architecture})"
        raise GgufError(f"{name}: the file is {kind}, not a whole model", "Pull a model that has one file.")
    if not info.tensors:
        raise GgufError(f"{name}: the file has no tensors", "Pull the file of a model.")


def _part_name(file: WeightsFile) -> str:
    known = file.sha256 != FIRST_PULL
    return file.sha256 if known else f"first-{hashlib.sha256(file.url.encode()).hexdigest()[:32]}"


def _allocated_bytes(path: Path) -> int:
    """Return the disk space of a file in bytes."""
    try:
        facts = path.lstat()
    except OSError:
        return 0
    return facts.st_blocks * 512 if stat.S_ISREG(facts.st_mode) else 0
