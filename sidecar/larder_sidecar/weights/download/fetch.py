"""The fetch of a plan into a store: every file verified, manifests after their blobs, the marker last.

After a kill at any moment, a model is either complete or absent, and the next run goes on where this one stopped.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...config.layout import gguf_path
from ...config.weights import FIRST_PULL, ModelWeights, WeightsFile, WeightsPlan
from ..errors import DiskFullError, StoreError
from ..progress import Reporter, Summary
from ..retry import Patience
from ..sources.source import Source
from ..store import untrusted
from ..store.disk import STATE, make_folders, sweep, translate_os_errors
from ..store.gguf import check_gguf
from ..store.lease import Lease
from ..store.lease_holder import Holder
from ..store.marker import (
    Stored,
    complete,
    describe_file,
    find_faults,
    first_pulls,
    read_marker,
    unchanged_files,
    verified_blobs,
)
from ..store.ollama_layout import StoredFile, blob_path, list_manifests, referenced_blobs, write_model
from .files import Files, part_path

SPARE = 16 * 2**20
"""Free space in bytes for manifests, markers and the filesystem itself."""


@dataclass
class Fetch:
    """A run. `free` returns the free bytes of a folder's filesystem."""

    plan: WeightsPlan
    root: Path
    source: Source
    reporter: Reporter = field(default_factory=Reporter)
    patience: Patience = field(default_factory=Patience)
    lease_seconds: float = 600.0
    distrust: bool = False
    """True to read and hash every file again, whatever the marker says."""
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    verified: dict[str, Stored] = field(default_factory=dict)
    """Blobs that earlier tries of this process verified, by path; this one adds its own."""

    def run(self) -> Summary:
        """Make the store complete. Raises FetchError."""
        began = time.monotonic()
        with translate_os_errors(self.root):
            if not self.distrust and self._is_complete():
                return Summary(0, self.plan.total_bytes(), time.monotonic() - began)
            make_folders(self.root)
            lease = Lease(self.root / STATE / "lease", wait_seconds=self.lease_seconds, waiting=self._on_wait)
            with lease:
                if not lease.held or (not self.distrust and self._is_complete()):
                    return Summary(0, self.plan.total_bytes(), time.monotonic() - began)
                return _Filling(self, lease, began).run()

    def _is_complete(self) -> bool:
        marker = read_marker(self.root, self.plan.digest())
        if marker is None or find_faults(self.root, marker):
            return False
        # Stores of versions before plain names have none.
        return all(gguf_path(model.id) in marker.files for model in self.plan.models)

    def _on_wait(self, holder: Holder) -> bool:
        self.reporter.event("waiting", holder=holder.host, since=holder.since)
        return not self.distrust and self._is_complete()


class _Filling:
    """The part of a run that writes, under the lease."""

    def __init__(self, fetch: Fetch, lease: Lease, began: float) -> None:
        self._fetch, self._lease, self._began, self._root = fetch, lease, began, fetch.root
        self._known: set[str] = set() if fetch.distrust else set(verified_blobs(fetch.root))
        self._known |= unchanged_files(fetch.root, fetch.verified).keys()
        self._recorded = first_pulls(fetch.root)
        self._first_pull: dict[str, str] = {}
        self._marked: dict[str, Stored] = {}

    def run(self) -> Summary:
        sweep(self._root)
        self._withdraw_incomplete()
        models = self._fetch.plan.models
        present = {(m.id, f.path): self._find(f) for m in models for f in m.files}
        lacking = [f for m in models for f in m.files if present[m.id, f.path] is None]
        # A content that two models share is fetched once.
        missing = {part_path(self._root, file): file for file in lacking}
        self._require_space(missing)
        with self._start_downloads(missing.values()) as coming:
            for model in models:
                found = [(file, present[model.id, file.path] or coming.wait(file)) for file in model.files]
                self._write_model(model, [self._add_to_marker(file, sha256) for file, sha256 in found])
        reused = sum(f.bytes for m in models for f in m.files) - sum(f.bytes for f in missing.values()) + coming.reused
        summary = Summary(coming.fetched, reused, time.monotonic() - self._began)
        self._lease.confirm()
        complete(self._root, self._fetch.plan, summary, self._marked, self._first_pull)
        return summary

    def _withdraw_incomplete(self) -> None:
        """Remove every manifest that lacks blobs, so that the engine does not list a model that it cannot load."""
        for path in list_manifests(self._root):
            needs = referenced_blobs(path)
            if needs is None or not all((self._root / blob).is_file() for blob in needs):
                event = "withdrawn"
                try:
                    path.unlink(missing_ok=True)
                except OSError:  # another user owns its folder
                    event = "not withdrawn"
                self._fetch.reporter.event(event, manifest=str(path.relative_to(self._root)))

    def _find(self, file: WeightsFile) -> str | None:
        """Return the sha256 of a file that is in the store and good; None if it must be fetched."""
        sha256 = self._recorded.get(file.url) if file.sha256 == FIRST_PULL else file.sha256
        return sha256 if sha256 and self._is_good(sha256, file.bytes) else None

    def _is_good(self, sha256: str, size: int) -> bool:
        """Return True for a blob that is there and good."""
        blob = self._root / blob_path(sha256)
        if not blob.is_file():
            if blob.is_dir():
                raise StoreError(f"{blob}: a folder has the name of the file", "Remove it; nothing was fetched.")
            return False
        return blob_path(sha256) in self._known or self._verify_blob(sha256, size)

    def _verify_blob(self, sha256: str, size: int) -> bool:
        """Return True if a blob that no marker lists has the hash in its name; remove a bad one and its manifests."""
        blob = self._root / blob_path(sha256)
        self._fetch.reporter.event("verifying", file=blob_path(sha256), bytes=blob.stat().st_size)
        if blob.stat().st_size == size and untrusted.hash_file(blob, self._lease.check) == sha256:
            self._record_verified(sha256)
            return True
        for path in list_manifests(self._root):
            if blob_path(sha256) in (referenced_blobs(path) or ()):
                path.unlink(missing_ok=True)
        blob.unlink()
        self._fetch.reporter.event("corrupted", file=blob_path(sha256))
        return False

    def _record_verified(self, sha256: str) -> None:
        self._known.add(blob_path(sha256))
        self._fetch.verified[blob_path(sha256)] = describe_file(self._root / blob_path(sha256), sha256)

    def _require_space(self, missing: Mapping[Path, WeightsFile]) -> None:
        here = sum(min(part.stat().st_blocks * 512, file.bytes) for part, file in missing.items() if part.exists())
        needed = sum(file.bytes for file in missing.values()) - here + SPARE
        free = self._fetch.free(self._root)
        if missing and needed > free:
            raise DiskFullError(
                f"{self._root}: {needed} bytes are needed, {free} are free: {needed - free} are missing",
                "Make the volume larger, or remove models from larder:models.",
            )

    def _start_downloads(self, missing: Iterable[WeightsFile]) -> Files:
        fetch = self._fetch
        return Files(
            missing,
            self._root,
            fetch.source,
            patience=fetch.patience,
            reporter=fetch.reporter,
            lease=self._lease,
            has_blob=self._is_good,
            name_of=self._fetch.plan.name_of,
            on_placed=self._record_verified,
        )

    def _add_to_marker(self, file: WeightsFile, sha256: str) -> StoredFile:
        """Add a stored file to the marker."""
        path = self._root / blob_path(sha256)
        info = check_gguf(path, self._fetch.plan.name_of(file))
        self._marked[blob_path(sha256)] = describe_file(path, sha256)
        if file.sha256 == FIRST_PULL:
            self._first_pull[file.url] = sha256
        return StoredFile(sha256, file.bytes, info)

    def _write_model(self, model: ModelWeights, files: list[StoredFile]) -> None:
        self._lease.confirm()
        self._marked |= write_model(model, files, self._root)
        self._fetch.reporter.event("published", model=model.id, names=", ".join(model.served_names))
