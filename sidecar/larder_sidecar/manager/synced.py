"""The catalog as git-sync publishes it: a link to a checkout, flipped as a whole when the repository changes.

The contract is git-sync's own (its README, "What it produces and why"): the link is always valid and changed
atomically, and the last part of its target is the commit.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..catalog import CatalogEntry, load_catalog
from ..catalog.models import CatalogError
from ..config.manager import SyncedFolder
from ..config.read import problems

PATIENCE = 5.0
"""Limit for the time that a request waits for a commit that takes long to read, in seconds."""


class CatalogMissingError(Exception):
    """The error before the first sync, and for a synced folder without a catalog."""


@dataclass(frozen=True)
class Catalog:
    """One commit of the catalog."""

    commit: str
    entries: Mapping[str, CatalogEntry]
    wrong: Mapping[str, str]
    """Problems of invalid files, by name."""
    problem: str = ""
    """Reason why this is not the current commit; '' if it is."""


class SyncedCatalog:
    """Reads the catalog again when the link has changed, and only then."""

    def __init__(self, settings: SyncedFolder, *, patience: float = PATIENCE) -> None:
        self._link = settings.link
        self._path = settings.path
        self._patience = patience
        self._target: Path | None = None
        self._catalog: Catalog | None = None
        self._reading: asyncio.Task[Catalog] | None = None

    async def read(self) -> Catalog:
        """Return the catalog, or the last readable one if there is none now. Raises CatalogMissingError."""
        # One thread reads for all requests meanwhile: requests must not take all threads.
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(asyncio.to_thread(self._read))
            self._reading.add_done_callback(_retrieve_error)
        reading = self._reading
        await asyncio.wait({reading}, timeout=self._patience)
        if reading.done():
            return reading.result()
        if self._catalog is None:
            msg = "the catalog is being read"
            raise CatalogMissingError(msg)
        return replace(
            self._catalog, problem="the manager is reading another commit; this is the last one that it read"
        )

    def _read(self) -> Catalog:
        try:
            self._refresh()
        except CatalogMissingError as reason:
            if self._catalog is None:
                raise
            self._target = None  # look again at the next request
            self._catalog = replace(self._catalog, problem=f"{reason}; this is the last commit that could be read")
        if self._catalog is None:  # read, or raised above
            raise AssertionError
        return self._catalog

    def _refresh(self) -> None:
        while True:
            target = self._points_to()
            if target is not None and target == self._target:
                return
            catalog = self._load(target)
            # A checkout may be removed while it is read: then the link has changed.
            if target == self._points_to():
                self._target, self._catalog = target, catalog
                return

    def _points_to(self) -> Path | None:
        """Return the target of the link; None for a plain folder."""
        try:
            return self._link.readlink() if self._link.is_symlink() else None
        except OSError as reason:
            msg = f"{self._link}: {reason.strerror}"
            raise CatalogMissingError(msg) from reason

    def _load(self, target: Path | None) -> Catalog:
        try:
            root, checkout = self._link.parent.resolve(), self._link.resolve()
            folder = (checkout / self._path).resolve()
            self._refuse(root, checkout, folder)
            entries, wrong = load_catalog(folder), {}
        except CatalogError as error:
            entries = dict(error.entries)
            wrong = {
                f"{name}.yaml": why if isinstance(why, str) else problems(why) for name, why in error.wrong.items()
            }
        except (OSError, RuntimeError) as reason:  # RuntimeError: Python before 3.13, for links in a circle
            msg = f"{self._link}/{self._path} cannot be resolved"
            raise CatalogMissingError(msg) from reason
        return Catalog(target.name if target else "", entries, wrong)

    def _refuse(self, root: Path, checkout: Path, folder: Path) -> None:
        if not checkout.is_dir():
            msg = f"{self._link} does not lead to a folder: nothing is synced yet. Fix: see the log of git-sync"
            raise CatalogMissingError(msg)
        # Links in a repository must not lead to the rest of the file system.
        if not (checkout.is_relative_to(root) and folder.is_relative_to(checkout)):
            msg = f"{self._link}/{self._path} leads out of {root} and is not read"
            raise CatalogMissingError(msg)
        if not folder.is_dir():
            msg = f"the repository has no folder {self._path!r} (catalog.path)"
            raise CatalogMissingError(msg)


def _retrieve_error(reading: asyncio.Task[Catalog]) -> None:
    if not reading.cancelled():
        reading.exception()  # the client may have gone
