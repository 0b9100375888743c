"""Prune: removes weights from a store that no plan needs any more.

A store may serve several plans, and it does not show which of them are in use: readers write nothing, so age proves
nothing either. Therefore only plans that the command names are forgotten. Of their files, those go that no other marker
names and that no remaining manifest needs. Files that are in no marker stay.

After a kill at any moment, the next run goes on: a marker is first renamed to `.forgotten`, so that no reader trusts
it, and removed last. In between, manifests go before links, and links before blobs, so that no engine lists a model
without its blobs.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...config.weights import FIRST_PULL, MODEL_FOLDERS, WeightsPlan
from ..errors import PlanError
from ..progress import Reporter
from .disk import GGUF, STATE, list_entries, require_own_folders, sync_folder, translate_os_errors
from .lease import Lease
from .marker import Marker, load_marker
from .marker import load_markers as all_markers
from .ollama_layout import blob_path, list_manifests, referenced_blobs

OTHERS = "others"
"""Word for every plan but the current one."""
_FORGOTTEN = ".forgotten"
_ORDER = ("manifests/", f"{GGUF}/", f"{MODEL_FOLDERS}/", "blobs/")
_SHOWN = 12
_DIGEST = re.compile(r"[0-9a-f]{4,64}")


@dataclass
class Prune:
    """A run on the store at `root`, which keeps `plan`. `forget` names plans by the beginning of their digests."""

    plan: WeightsPlan
    root: Path
    forget: Sequence[str]
    reporter: Reporter
    lease_seconds: float = 600.0
    if_there: bool = False
    """Treat a named plan that is not in the store as already forgotten, so that a retry succeeds."""
    forgotten: list[str] = field(default_factory=list, init=False)
    """Plans that a run has forgotten, or a preview would forget."""

    def preview(self) -> int:
        """Report the files that would go, and return their bytes. Nothing is written. Raises FetchError."""
        with translate_os_errors(self.root):
            require_own_folders(self.root)
            kept, forgotten = self._split_plans()
            return self._report(
                "would-remove", select_removals(self.root, self._needed_files(kept), forgotten.values())
            )

    def run(self) -> int:
        """Remove the files, and return their bytes. Raises FetchError."""
        with translate_os_errors(self.root), self._lease() as lease:
            kept, forgotten = self._split_plans()
            for path in forgotten:
                lease.confirm()
                path.rename(path.with_suffix(_FORGOTTEN))
            sync_folder(self.root / STATE)
            gone = select_removals(self.root, self._needed_files(kept), forgotten.values())
            for name in gone:
                lease.check()
                (self.root / name).unlink(missing_ok=True)
            freed = self._report("removed", gone)
            for path in forgotten:
                path.with_suffix(_FORGOTTEN).unlink(missing_ok=True)
            return freed

    def _lease(self) -> Lease:
        require_own_folders(self.root)
        return Lease(self.root / STATE / "lease", wait_seconds=self.lease_seconds)

    def _split_plans(self) -> tuple[list[Marker], dict[Path, Marker]]:
        """Return the plans that stay, and those to forget by their files, also those of a run that was killed."""
        ours, folder = self.plan.digest(), self.root / STATE
        markers: dict[Path, Marker] = {}
        for path, marker in sorted(all_markers(self.root), key=lambda it: it[0]):
            if marker is None:
                # A newer version may have written it: the files that its plan needs are unknown.
                raise PlanError(f"{path}: the marker cannot be read", "Remove it if no deployment needs its plan.")
            markers[path] = marker
        for word in self.forget:
            if word != OTHERS and not _DIGEST.fullmatch(word):
                raise PlanError(
                    f"--forget {word!r} is not a digest", "Write four or more hex digits of a digest, or `others`."
                )
        named = {path for path, marker in markers.items() if self._forgets(marker.plan, ours)}
        withdrawn = (path for path in list_entries(folder) if path.suffix == _FORGOTTEN)
        begun = {path: read for path in withdrawn if (read := load_marker(path))}
        plans = {marker.plan for marker in (*markers.values(), *begun.values())}
        for word in self.forget:
            found = [plan for plan in plans if plan.startswith(word)]
            if word == OTHERS or (len(found) == 1 and found[0] != ours):
                continue
            if self.if_there and not found:
                self.reporter.event("plan", plan=word, state="not there")
            else:
                what = "is the current plan" if found == [ours] else f"matches {len(found)} plans"
                known = ", ".join(marker.plan[:_SHOWN] for marker in markers.values() if marker.plan != ours)
                raise PlanError(
                    f"--forget {word} {what} of {self.root}",
                    f"Write one of the other plans: {known or 'there are none'}.",
                )
        for path, marker in markers.items():
            state = "forgotten" if path in named else "kept"
            self.reporter.event("plan", plan=marker.plan[:_SHOWN], state=state, completed_at=marker.completed_at)
        kept = [marker for path, marker in markers.items() if path not in named]
        leaving = begun | {path: markers[path] for path in named}
        self.forgotten = sorted({marker.plan[:_SHOWN] for marker in leaving.values()})
        return kept, leaving

    def _forgets(self, plan: str, ours: str) -> bool:
        return plan != ours and any(word == OTHERS or plan.startswith(word) for word in self.forget)

    def _needed_files(self, kept: Iterable[Marker]) -> set[str]:
        """Return the files of the plans that stay, and of our plan even if it has no marker yet."""
        files = [file for model in self.plan.models for file in model.files if file.sha256 != FIRST_PULL]
        return {path for marker in kept for path in marker.files} | {blob_path(file.sha256) for file in files}

    def _report(self, event: str, gone: Mapping[str, int]) -> int:
        for path, size in gone.items():
            self.reporter.event(event, path=path, bytes=size)
        return sum(gone.values())


def select_removals(root: Path, named: set[str], forgotten: Iterable[Marker]) -> dict[str, int]:
    """Return the bytes that each file frees, by path relative to the root, in the order of removal."""
    candidates = {path for marker in forgotten for path in marker.files} - named
    manifest_paths = {str(path.relative_to(root)): path for path in list_manifests(root)}
    staying = [path for name, path in manifest_paths.items() if name not in candidates]
    needed = {blob for path in staying for blob in referenced_blobs(path) or ()}
    links = {str(path.relative_to(root)): path for path in list_entries(root / GGUF) if path.is_symlink()}
    needed |= {f"blobs/{path.readlink().name}" for name, path in links.items() if name not in candidates}
    # Others may write a marker: of the files that it names, only these are touched.
    whole = {path for path in candidates - needed if path.startswith(_ORDER) and _inside(root, path)}
    whole |= set(_model_folder_names(root, whole))
    found = {path: (root / path).lstat() for path in whole if os.path.lexists(root / path)}
    found = {path: facts for path, facts in found.items() if not stat.S_ISDIR(facts.st_mode)}
    order = sorted(found, key=lambda path: (next(n for n, it in enumerate(_ORDER) if path.startswith(it)), path))
    return {path: 0 if path.startswith(f"{MODEL_FOLDERS}/") else found[path].st_size for path in order}


def _inside(root: Path, path: str) -> bool:
    sound = "\0" not in path and ".." not in Path(path).parts
    return sound and (root / path).parent.resolve().is_relative_to(root.resolve())


def _model_folder_names(root: Path, gone: set[str]) -> Iterable[str]:
    """Yield the names under models/ of blobs that go: each of them would keep the bytes on the disk."""
    blobs = {_identity(root / path) for path in gone if path.startswith("blobs/")} - {None}
    for path in _walk(root / MODEL_FOLDERS):
        if _identity(path) in blobs:
            yield str(path.relative_to(root))


def _walk(folder: Path) -> Iterable[Path]:
    """Yield the entries below a folder, through no link."""
    waiting = [folder]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield Path(entry)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry))


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode, which all names of one file share; None without a file."""
    try:
        facts = path.lstat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
