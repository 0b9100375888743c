"""One writer at a time on a store, also on storage that several nodes share and when the holder dies.

The lease is a file made with O_EXCL and touched every 10 s. It counts as abandoned when nobody has touched it for a
minute (lease_clock.py says by which clock), or at once when its holder ran under this very kernel and no longer has
its flock. A holder that has its flock is alive, however late it is, and stays: who waits for it says so and gives up.
Who takes an abandoned lease renames it away first, under that flock, and exactly one rename wins.

A holder that slept through all that (paused machine) finds out at its next chunk and stops. What it may still write
until then does no harm: parts hold the same bytes at the same place, and a file is placed only after a last look here.
"""

import contextlib
import fcntl
import json
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from .. import signals as stop
from ..errors import LeaseError, StoreError
from . import untrusted
from .lease_clock import Watch

RENEW_SECONDS = 10.0
STALE_SECONDS = 60.0
POLL_SECONDS = 1.0
LOCK_SECONDS = 5.0
"""For others to have had their look at a lease that we made."""
_LARGEST = 4096
"""Bytes of a lease."""
_WORD = re.compile(r"[\w.:+ -]{0,253}", re.ASCII)
"""What may stand in a lease: it is repeated in messages, and anybody who shares the storage can write it."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, as written in it."""

    id: str = ""
    host: str = "unknown"
    kernel: str = ""
    since: str = "some time ago"

    @classmethod
    def ourselves(cls) -> Self:
        """A new holder in this process."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(id=uuid.uuid4().hex, host=socket.gethostname(), kernel=_kernel(), since=now)


class Lease:
    """A context manager; entering waits up to `wait_seconds` for another holder, and raises LeaseError then.

    `waiting` is called at every poll with the holder; it may return True to give up waiting because the
    work is done, and then the lease is not held (`held` is False).
    """

    def __init__(
        self,
        path: Path,
        *,
        wait_seconds: float,
        waiting: Callable[[Holder], bool] = lambda _: False,
        renew_seconds: float = RENEW_SECONDS,
        stale_seconds: float = STALE_SECONDS,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._path, self._wait, self._waiting = path, wait_seconds, waiting
        self._renew, self._poll = renew_seconds, poll_seconds
        self._watch, self._silent = Watch(renew_seconds, stale_seconds), 0.0
        self._us, self._handle = Holder.ourselves(), -1
        self._over, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self.held = False

    def __enter__(self) -> Self:
        deadline = time.monotonic() + self._wait
        while not self._take():
            if self._clear():
                continue
            holder = _read(self._path) or Holder()
            if self._waiting(holder):
                return self
            if time.monotonic() >= deadline:
                raise LeaseError(
                    f"{self._path}: the store is being filled by {holder.host} since {holder.since}, "
                    f"last sign of life {self._silent:.0f} s ago; waited {self._wait:g} s",
                    "Start again later: what it finishes is used, what it leaves is resumed. "
                    f"If it hangs, end it (kubectl delete pod {holder.host}): its lease ends with it.",
                )
            time.sleep(min(self._poll, max(0.0, deadline - time.monotonic())))
        self.held = True
        stop.remember(self._give_back)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.held:
            return
        self._over.set()
        self._thread.join()
        self.held = False
        stop.forget(self._give_back)
        self._give_back()
        os.close(self._handle)

    def check(self) -> None:
        """Cheap look, for every chunk. Raises LeaseError once the lease was lost."""
        if self._lost.is_set():
            raise LeaseError(
                f"{self._path}: another writer has taken the store over",
                "Start again: it waits for that writer and uses what it finished.",
            )

    def confirm(self) -> None:
        """Thorough look at the file, before something is made visible. Raises LeaseError."""
        if _read(self._path) != self._us:
            self._lost.set()
        self.check()

    def _give_back(self) -> None:
        if _read(self._path) == self._us:
            self._path.unlink(missing_ok=True)

    def _take(self) -> bool:
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            return False
        # Lock before content: who reads our name under this kernel finds the lock taken.
        # We may wait for it: others hold it just long enough for a look.
        until = time.monotonic() + LOCK_SECONDS
        while _lock(handle) is False:
            if time.monotonic() > until:
                self._path.unlink(missing_ok=True)
                os.close(handle)
                raise LeaseError(
                    f"{self._path}: somebody else keeps our lease locked",
                    "Find out who has that file open, and end it.",
                )
            time.sleep(LOCK_SECONDS / 100)
        try:
            name = json.dumps(vars(self._us)).encode()
            while name:  # what fits is written, the next call says that the disk is full
                name = name[os.write(handle, name) :]
        except OSError:  # A full disk: leave no nameless lease that the next start would have to wait for.
            self._path.unlink(missing_ok=True)
            os.close(handle)
            raise
        self._handle = handle
        return True

    def _keep(self) -> None:
        while not self._over.wait(self._renew):
            try:
                if _read(self._path) != self._us:
                    self._lost.set()
                    return
                os.utime(self._path, follow_symlinks=False)
            except OSError:
                self._lost.set()
                return

    def _clear(self) -> bool:
        """Rename the lease away if it is abandoned. Its flock is held from the look to the rename, so that nobody
        renames the lease of a holder that came in between; where the filesystem has no locks, it is given back."""
        try:
            handle = untrusted.opened(self._path, os.O_RDWR)
        except untrusted.OddFileError as error:
            raise StoreError(
                f"{self._path}: it {error.strerror}, so nobody can hold it", "Remove it; nothing was written."
            ) from None
        except OSError:
            return False
        try:
            facts = os.fstat(handle)
            sign = facts.st_ino, facts.st_mtime_ns
            self._silent = self._watch.unchanged(sign)
            locked = _lock(handle)
            if locked is False:
                return False
            holder = _parse(os.read(handle, _LARGEST))
            dead = bool(locked) and holder.kernel == self._us.kernel
            if not dead and not self._watch.abandoned(sign, age=self._age(facts)):
                return False
            return self._rename_away(handle, holder)
        except FileNotFoundError:
            return False
        finally:
            os.close(handle)

    def _age(self, lease: os.stat_result) -> float:
        """Seconds since its last renewal by the storage's own clock, which alone wrote both times."""
        probe = self._path.with_name(f"lease.{self._us.id}.probe")
        try:
            probe.write_bytes(b"")
            return probe.stat().st_mtime - lease.st_mtime
        finally:
            probe.unlink(missing_ok=True)

    def _rename_away(self, handle: int, holder: Holder) -> bool:
        if not os.path.samestat(os.fstat(handle), self._path.stat()):
            return False
        away = self._path.with_name(f"lease.{self._us.id}.away")
        self._path.rename(away)
        if _read(away) != holder:
            with contextlib.suppress(OSError):
                os.link(away, self._path)
        away.unlink()
        return True


def _read(path: Path) -> Holder | None:
    """The holder; None while the file is not there."""
    try:
        return _parse(untrusted.read(path, _LARGEST))
    except untrusted.OddFileError:
        return Holder()
    except FileNotFoundError:
        return None


def _parse(content: bytes) -> Holder:
    try:
        holder = Holder(**json.loads(content))
        if all(_WORD.fullmatch(text) for text in vars(holder).values()):
            return holder
    except (ValueError, TypeError, RecursionError):
        pass
    # Killed between making the file and writing its name, or none of ours.
    return Holder()


def _lock(handle: int) -> bool | None:
    """Whether we got the flock, which ends with its process; None where the filesystem has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _kernel() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid.uuid4().hex
