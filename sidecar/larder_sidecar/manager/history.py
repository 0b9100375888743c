"""The history of activations and their results, in one SQLite file that a new pod finds again."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["ready", "stopped", "failed", "refused", "interrupted"]
FILE = "manager.sqlite"
LOCK_SECONDS = 10.0
"""Time for the previous manager's pod to end, in seconds."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS activations (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    object TEXT NOT NULL,
    started REAL NOT NULL,
    finished REAL,
    outcome TEXT,
    reason TEXT NOT NULL DEFAULT ''
)
"""


class StateError(Exception):
    """The error for state that cannot be stored. `full` is True if the disk is full."""

    def __init__(self, message: str, *, full: bool = False) -> None:
        self.full = full
        super().__init__(message)


@dataclass(frozen=True)
class Activation:
    """A row. Times in seconds since the epoch."""

    model: str
    object: dict[str, Any]
    """The applied object."""
    started: float
    finished: float | None
    outcome: Outcome | None
    """None while it runs."""
    reason: str


class History:
    """The table. One process holds it as long as it runs; its threads share it."""

    def __init__(self, folder: Path, *, lock_seconds: float = LOCK_SECONDS) -> None:
        """Open the file, and close changes that a killed process left open. Raises StateError."""
        self._folder = folder
        self._lock = threading.Lock()
        self._late: dict[int, tuple[float, Outcome, str]] = {}
        """Outcomes that could not be written yet, by number: the disk may have room again."""
        try:
            self._db = sqlite3.connect(
                folder / FILE, timeout=lock_seconds, isolation_level=None, check_same_thread=False
            )
            # The lock is held from the first write to the end: two managers would undo each other's activations.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(_SCHEMA)
            self._db.execute(
                "UPDATE activations SET finished = MAX(?, started), outcome = 'interrupted', reason = ? "
                "WHERE outcome IS NULL",
                (time.time(), "the manager stopped during the change; the cluster continues without it"),
            )
            damage = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as reason:
            raise _state_error(folder, reason) from reason
        if damage != "ok":
            raise StateError(_damage_message(folder, damage))

    def begin(self, model: str, content: dict[str, Any]) -> int:
        """Record the start of an activation; return its number. Raises StateError."""
        with self._lock:
            try:
                self._write_late()
                row = self._db.execute(
                    "INSERT INTO activations (model, object, started) VALUES (?, ?, ?)",
                    (model, json.dumps(content), time.time()),
                )
            except sqlite3.Error as reason:
                raise _state_error(self._folder, reason) from reason
        return int(row.lastrowid or 0)

    def finish(self, number: int, outcome: Outcome, reason: str = "") -> None:
        """Record its end. Raises StateError if that cannot be written yet; the next change writes it too."""
        with self._lock:
            self._late[number] = (time.time(), outcome, reason)
            try:
                self._write_late()
            except sqlite3.Error as error:
                raise _state_error(self._folder, error) from error

    def last_success(self) -> Activation | None:
        """Return the last successful activation, which a failed one restores. Raises StateError."""
        return self._last(lambda outcome: outcome in ("ready", "stopped"))

    def last_applied(self) -> Activation | None:
        """Return the last activation that the cluster accepted, whatever its result. Raises StateError."""
        return self._last(lambda outcome: outcome not in (None, "refused"))

    def last(self) -> Activation | None:
        """Return the last activation, whatever its result. Raises StateError."""
        return self._last(lambda _: True)

    def close(self) -> None:
        """Release the file for another process."""
        with self._lock:  # a thread may be writing how the last change ended
            self._db.close()

    def _write_late(self) -> None:
        for number, (finished, outcome, reason) in list(self._late.items()):
            # A clock may go back.
            self._db.execute(
                "UPDATE activations SET finished = MAX(?, started), outcome = ?, reason = ? WHERE id = ?",
                (finished, outcome, reason, number),
            )
            del self._late[number]

    def _last(self, counts: Callable[[Outcome | None], bool]) -> Activation | None:
        with self._lock:
            try:
                rows = self._db.execute(
                    "SELECT id, model, object, started, finished, outcome, reason FROM activations ORDER BY id DESC"
                )
                for number, model, content, started, *end in rows:
                    finished, outcome, reason = self._late.get(number, end)
                    if counts(outcome):
                        return Activation(model, json.loads(content), started, finished, outcome, reason)
            except sqlite3.Error as error:
                raise _state_error(self._folder, error) from error
            except (ValueError, RecursionError) as error:
                raise StateError(_damage_message(self._folder, "a row is not JSON")) from error
        return None


def _state_error(folder: Path, reason: sqlite3.Error) -> StateError:
    # An extended code holds the primary one in its lowest byte.
    match getattr(reason, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StateError(f"state: {folder / FILE} is held by another manager. Fix: run one manager only")
        case sqlite3.SQLITE_FULL:
            msg = f"state: the disk of {folder} is full. Fix: free some space there, or make the volume larger"
            return StateError(msg, full=True)
        case sqlite3.SQLITE_NOTADB:
            return StateError(f"state: {folder / FILE} is not a history of activations ({reason}). Fix: move it away")
        case sqlite3.SQLITE_CORRUPT:
            return StateError(_damage_message(folder, str(reason)))
        case _:
            return StateError(
                f"state: {folder} cannot be written to ({reason}). Fix: mount a volume there that uid 1000 may write to"
            )


def _damage_message(folder: Path, reason: str) -> str:
    told = " ".join(reason.split())[:200]
    return f"state: {folder / FILE} is damaged ({told}). Fix: move it away; the cluster keeps the active model"
