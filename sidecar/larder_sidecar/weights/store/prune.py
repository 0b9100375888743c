"""Takes weights out of a store that no plan wants any more.

A store may serve several plans, and nothing in it tells a plan that is in use from one that is not: readers write
nothing, so age proves nothing either. Therefore only plans that are named are forgotten, and of those goes only what
no other plan's marker names and what no manifest that stays needs. Files that no marker knows are left alone.

Killed at any moment, the next run goes on: a marker is first renamed to `.forgotten`, so that nobody believes it, and
removed last. In between go manifests before links before blobs, so that no engine lists what it lacks.
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
from .disk import GGUF, STATE, entries, explained, hold_state, sync_folder
from .lease import Lease
from .marker import Marker, load
from .marker import markers as all_markers
from .ollama_layout import blob_path, manifests, referenced

OTHERS = "others"
"""In place of a plan's name: every plan but the one at hand."""
_FORGOTTEN = ".forgotten"
_ORDER = ("manifests/", f"{GGUF}/", f"{MODEL_FOLDERS}/", "blobs/")
_SHOWN = 12
_DIGEST = re.compile(r"[0-9a-f]{4,64}")


@dataclass
class Prune:
    """One run on the store at `root`, which `plan` keeps. `forget` names plans by the beginning of their digests."""

    plan: WeightsPlan
    root: Path
    forget: Sequence[str]
    reporter: Reporter
    lease_seconds: float = 600.0
    if_there: bool = False
    """A plan that is named and not there was forgotten before: whoever runs twice is through the second time."""
    forgotten: list[str] = field(default_factory=list, init=False)
    """The plans that a run forgot, or a preview would."""

    def preview(self) -> int:
        """Tell what would go; its bytes. Nothing is written. Raises FetchError."""
        with explained(self.root):
            hold_state(self.root)
            kept, forgotten = self._plans()
            return self._tell("would-remove", goes(self.root, self._named(kept), forgotten.values()))

    def run(self) -> int:
        """Remove it; its bytes. Raises FetchError."""
        with explained(self.root), self._lease() as lease:
            kept, forgotten = self._plans()
            for path in forgotten:
                lease.confirm()
                path.rename(path.with_suffix(_FORGOTTEN))
            sync_folder(self.root / STATE)
            gone = goes(self.root, self._named(kept), forgotten.values())
            for name in gone:
                lease.check()
                (self.root / name).unlink(missing_ok=True)
            freed = self._tell("removed", gone)
            for path in forgotten:
                path.with_suffix(_FORGOTTEN).unlink(missing_ok=True)
            return freed

    def _lease(self) -> Lease:
        hold_state(self.root)
        return Lease(self.root / STATE / "lease", wait_seconds=self.lease_seconds)

    def _plans(self) -> tuple[list[Marker], dict[Path, Marker]]:
        """The plans that stay, and by their files those that are forgotten, also by a run that was killed."""
        ours, folder = self.plan.digest(), self.root / STATE
        markers: dict[Path, Marker] = {}
        for path, marker in sorted(all_markers(self.root), key=lambda it: it[0]):
            if marker is None:
                # Of another version of us, perhaps: what its plan wants nobody can tell then.
                raise PlanError(f"{path}: cannot be read", "Remove it where nobody wants its plan any more.")
            markers[path] = marker
        for word in self.forget:
            if word != OTHERS and not _DIGEST.fullmatch(word):
                raise PlanError(
                    f"--forget {word!r}: is no digest", "Write four or more of its hex digits, or `others`."
                )
        named = {path for path, marker in markers.items() if self._forgets(marker.plan, ours)}
        withdrawn = (path for path in entries(folder) if path.suffix == _FORGOTTEN)
        begun = {path: read for path in withdrawn if (read := load(path))}
        plans = {marker.plan for marker in (*markers.values(), *begun.values())}
        for word in self.forget:
            found = [plan for plan in plans if plan.startswith(word)]
            if word == OTHERS or (len(found) == 1 and found[0] != ours):
                continue
            if self.if_there and not found:
                self.reporter.event("plan", plan=word, state="not there")
            else:
                what = "is the plan at hand" if found == [ours] else f"names {len(found)} plans"
                known = ", ".join(marker.plan[:_SHOWN] for marker in markers.values() if marker.plan != ours)
                raise PlanError(f"--forget {word}: {what} of {self.root}", f"Others there: {known or 'none'}.")
        for path, marker in markers.items():
            state = "forgotten" if path in named else "kept"
            self.reporter.event("plan", plan=marker.plan[:_SHOWN], state=state, completed_at=marker.completed_at)
        kept = [marker for path, marker in markers.items() if path not in named]
        leaving = begun | {path: markers[path] for path in named}
        self.forgotten = sorted({marker.plan[:_SHOWN] for marker in leaving.values()})
        return kept, leaving

    def _forgets(self, plan: str, ours: str) -> bool:
        return plan != ours and any(word == OTHERS or plan.startswith(word) for word in self.forget)

    def _named(self, kept: Iterable[Marker]) -> set[str]:
        """What plans that stay want; ours also where its marker is not there yet."""
        files = [file for model in self.plan.models for file in model.files if file.sha256 != FIRST_PULL]
        return {path for marker in kept for path in marker.files} | {blob_path(file.sha256) for file in files}

    def _tell(self, event: str, gone: Mapping[str, int]) -> int:
        for path, size in gone.items():
            self.reporter.event(event, path=path, bytes=size)
        return sum(gone.values())


def goes(root: Path, named: set[str], forgotten: Iterable[Marker]) -> dict[str, int]:
    """What leaves the store, in the order in which it must: bytes that each frees, by path relative to the root."""
    candidates = {path for marker in forgotten for path in marker.files} - named
    manifest_paths = {str(path.relative_to(root)): path for path in manifests(root)}
    staying = [path for name, path in manifest_paths.items() if name not in candidates]
    needed = {blob for path in staying for blob in referenced(path) or ()}
    links = {str(path.relative_to(root)): path for path in entries(root / GGUF) if path.is_symlink()}
    needed |= {f"blobs/{path.readlink().name}" for name, path in links.items() if name not in candidates}
    # A marker is a file that others may write: nothing that it names but these is touched.
    whole = {path for path in candidates - needed if path.startswith(_ORDER) and _inside(root, path)}
    whole |= set(_other_names(root, whole))
    found = {path: (root / path).lstat() for path in whole if os.path.lexists(root / path)}
    found = {path: facts for path, facts in found.items() if not stat.S_ISDIR(facts.st_mode)}
    order = sorted(found, key=lambda path: (next(n for n, it in enumerate(_ORDER) if path.startswith(it)), path))
    return {path: 0 if path.startswith(f"{MODEL_FOLDERS}/") else found[path].st_size for path in order}


def _inside(root: Path, path: str) -> bool:
    sound = "\0" not in path and ".." not in Path(path).parts
    return sound and (root / path).parent.resolve().is_relative_to(root.resolve())


def _other_names(root: Path, gone: set[str]) -> Iterable[str]:
    """The names under models/ of blobs that go: as long as one of them is there, their bytes stay."""
    blobs = {_same(root / path) for path in gone if path.startswith("blobs/")} - {None}
    for path in _below(root / MODEL_FOLDERS):
        if _same(path) in blobs:
            yield str(path.relative_to(root))


def _below(folder: Path) -> Iterable[Path]:
    """Whatever is below a folder and has a path, behind no link."""
    waiting = [folder]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield Path(entry)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry))


def _same(path: Path) -> tuple[int, int] | None:
    """What two names of one file have in common."""
    try:
        facts = path.lstat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
