"""The lease of a store: one writer at a time, also on storage that nodes share, and after the death of a holder.

The lease is a file, made with O_EXCL and touched every 10 s. It is abandoned if it was not touched for a minute
(`LeaseClock` chooses the clock), or at once if its holder ran under this kernel and no longer has its flock. A holder
that has its flock is alive, however late it is, and keeps the lease: a waiting writer reports that, and gives up in the
end. A writer that takes an abandoned lease first renames it, under the flock, and exactly one rename succeeds.

A holder that missed all that (on a paused machine) notices it at its next chunk and stops. The bytes that it writes
until then do no harm: parts hold the same bytes at the same place, and a file is placed only after `confirm`.
"""

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .. import signals as stop
from ..errors import LeaseError, StoreError
from . import untrusted
from .lease_holder import MAX_LEASE, Holder

RENEW_SECONDS = 10.0
STALE_SECONDS = 60.0
POLL_SECONDS = 1.0
LOCK_SECONDS = 5.0
"""Seconds for others to release the flock of a lease that we made."""


@dataclass
class LeaseClock:
    """A waiter's view of a lease whose holder renews it every `renew` seconds.

    The lease is abandoned if it was unchanged for `stale` seconds of our own clock, which never jumps. If the storage's
    clock agrees, two missed renewals suffice: that clock may be set, so it never decides alone.
    """

    renew: float
    stale: float
    clock: Callable[[], float] = time.monotonic
    _sign: Hashable = None
    _since: float = 0.0

    def seconds_unchanged(self, sign: Hashable) -> float:
        """Return the seconds since `sign` changed, as every renewal changes it."""
        if sign != self._sign:
            self._sign, self._since = sign, self.clock()
        return self.clock() - self._since

    def is_abandoned(self, sign: Hashable, age: float) -> bool:
        """Return True for an abandoned lease. `age`: seconds since its last renewal by the storage's clock."""
        return self.seconds_unchanged(sign) > (2 * self.renew if age > self.stale else self.stale)


class Lease:
    """A context manager; entry waits up to `wait_seconds` for another holder, and raises LeaseError then.

    `waiting` is called at every poll with the holder. It may return True to end the wait because the work is done:
    then the lease is not held (`held` is False).
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
        self._watch, self._silent = LeaseClock(renew_seconds, stale_seconds), 0.0
        self._holder, self._handle = Holder.this_process(), -1
        self._over, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._renew_until_over, name="lease", daemon=True)
        self.held = False

    def __enter__(self) -> Self:
        deadline = time.monotonic() + self._wait
        while not self._create():
            if self._remove_abandoned():
                continue
            holder = Holder.read(self._path) or Holder()
            if self._waiting(holder):
                return self
            if time.monotonic() >= deadline:
                raise LeaseError(
                    f"{self._path}: {holder.host} has been filling the store since {holder.since}, "
                    f"last sign of life {self._silent:.0f} s ago; waited {self._wait:g} s",
                    "Start again later; the work of that writer is used. "
                    f"If it hangs, end it (kubectl delete pod {holder.host}), which releases the lease.",
                )
            time.sleep(min(self._poll, max(0.0, deadline - time.monotonic())))
        self.held = True
        stop.call_on_stop(self._give_back)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.held:
            return
        self._over.set()
        self._thread.join()
        self.held = False
        stop.cancel_call(self._give_back)
        self._give_back()
        os.close(self._handle)

    def check(self) -> None:
        """Raise LeaseError if the lease is known to be lost: cheap, for every chunk."""
        if self._lost.is_set():
            raise LeaseError(
                f"{self._path}: another writer has taken the store over",
                "Start again: the run waits for that writer and uses its work.",
            )

    def confirm(self) -> None:
        """Read the file, and raise LeaseError if the lease is lost: before a file is made visible."""
        if Holder.read(self._path) != self._holder:
            self._lost.set()
        self.check()

    def _give_back(self) -> None:
        if Holder.read(self._path) == self._holder:
            self._path.unlink(missing_ok=True)

    def _create(self) -> bool:
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            return False
        # Lock before content: a reader of our name under this kernel finds the lock taken.
        # We may wait for it: others hold it only while they read.
        until = time.monotonic() + LOCK_SECONDS
        while _lock(handle) is False:
            if time.monotonic() > until:
                self._path.unlink(missing_ok=True)
                os.close(handle)
                raise LeaseError(
                    f"{self._path}: another process keeps our lease locked",
                    "Find the process that has this file open, and end it.",
                )
            time.sleep(LOCK_SECONDS / 100)
        try:
            name = json.dumps(vars(self._holder)).encode()
            while name:  # a full disk takes a part; the next call raises
                name = name[os.write(handle, name) :]
        except OSError:  # A full disk: a lease without a name would block the next start.
            self._path.unlink(missing_ok=True)
            os.close(handle)
            raise
        self._handle = handle
        return True

    def _renew_until_over(self) -> None:
        while not self._over.wait(self._renew):
            try:
                if Holder.read(self._path) != self._holder:
                    self._lost.set()
                    return
                os.utime(self._path, follow_symlinks=False)
            except OSError:
                self._lost.set()
                return

    def _remove_abandoned(self) -> bool:
        """Rename the lease away if it is abandoned, and return True then.

        Its flock is held from the check to the rename, so that the lease of a new holder is never renamed; on a
        filesystem without locks, a wrong rename is undone.
        """
        try:
            handle = untrusted.open_descriptor(self._path, os.O_RDWR)
        except untrusted.OddFileError as error:
            raise StoreError(f"{self._path}: the lease {error.strerror}", "Remove it; nothing was written.") from None
        except OSError:
            return False
        try:
            facts = os.fstat(handle)
            sign = facts.st_ino, facts.st_mtime_ns
            self._silent = self._watch.seconds_unchanged(sign)
            locked = _lock(handle)
            if locked is False:
                return False
            holder = Holder.parse(os.read(handle, MAX_LEASE))
            dead = bool(locked) and holder.kernel == self._holder.kernel
            if not dead and not self._watch.is_abandoned(sign, age=self._age(facts)):
                return False
            return self._rename_away(handle, holder)
        except FileNotFoundError:
            return False
        finally:
            os.close(handle)

    def _age(self, lease: os.stat_result) -> float:
        """Return the seconds since the last renewal by the storage's own clock, which wrote both times."""
        probe = self._path.with_name(f"lease.{self._holder.id}.probe")
        try:
            probe.write_bytes(b"")
            return probe.stat().st_mtime - lease.st_mtime
        finally:
            probe.unlink(missing_ok=True)

    def _rename_away(self, handle: int, holder: Holder) -> bool:
        if not os.path.samestat(os.fstat(handle), self._path.stat()):
            return False
        away = self._path.with_name(f"lease.{self._holder.id}.away")
        self._path.rename(away)
        if Holder.read(away) != holder:
            with contextlib.suppress(OSError):
                os.link(away, self._path)
        away.unlink()
        return True


def _lock(handle: int) -> bool | None:
    """Return True if we got the flock, which ends with its process; None on a filesystem without locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
