"""What was activated when, and what became of it: one SQLite file that a new pod finds again."""

import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["ready", "stopped", "failed", "refused", "interrupted"]
FILE = "manager.sqlite"
LOCK_SECONDS = 10.0
"""For the manager before us, whose pod may still be ending."""
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
    """The state cannot be kept."""


@dataclass(frozen=True)
class Activation:
    """A row. Times in seconds since the epoch."""

    model: str
    object: dict[str, Any]
    """What was applied."""
    started: float
    finished: float | None
    outcome: Outcome | None
    """None while it runs."""
    reason: str


class History:
    """The table. One process has it, for as long as it runs."""

    def __init__(self, folder: Path, *, lock_seconds: float = LOCK_SECONDS) -> None:
        """Open it, and close what a killed process left open. Raises StateError."""
        try:
            self._db = sqlite3.connect(folder / FILE, timeout=lock_seconds, isolation_level=None)
            # Held from the first write to the end: two managers would undo each other's activations.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(_SCHEMA)
            self._db.execute(
                "UPDATE activations SET finished = ?, outcome = 'interrupted', reason = ? WHERE outcome IS NULL",
                (time.time(), "the manager ended while it ran; the cluster goes on without it"),
            )
        except sqlite3.Error as reason:
            raise StateError(_explained(folder, reason)) from reason

    def begin(self, model: str, content: dict[str, Any]) -> int:
        """An activation starts; its number."""
        row = self._db.execute(
            "INSERT INTO activations (model, object, started) VALUES (?, ?, ?)",
            (model, json.dumps(content), time.time()),
        )
        return int(row.lastrowid or 0)

    def finish(self, number: int, outcome: Outcome, reason: str = "") -> None:
        """It has ended."""
        self._db.execute(
            "UPDATE activations SET finished = ?, outcome = ?, reason = ? WHERE id = ?",
            (time.time(), outcome, reason, number),
        )

    def settled(self) -> Activation | None:
        """The last one that came to what it was meant to: where a failed one goes back to."""
        return self._one("WHERE outcome IN ('ready', 'stopped')")

    def applied(self) -> Activation | None:
        """The last one that the cluster took, whatever came of it."""
        return self._one("WHERE outcome <> 'refused'")

    def last(self) -> Activation | None:
        """The last one, however it ended."""
        return self._one("")

    def close(self) -> None:
        """Let another process have it."""
        self._db.close()

    def _one(self, where: str) -> Activation | None:
        found = self._db.execute(
            f"SELECT model, object, started, finished, outcome, reason FROM activations {where} "  # noqa: S608 (ours)
            "ORDER BY id DESC LIMIT 1"
        ).fetchone()
        return Activation(found[0], json.loads(found[1]), *found[2:]) if found else None


def _explained(folder: Path, reason: sqlite3.Error) -> str:
    if "locked" in str(reason):
        return f"state: {folder / FILE} is held by another manager; there can be one"
    if isinstance(reason, sqlite3.OperationalError):
        return f"state: {folder} cannot be written to ({reason}); mount a volume there that uid 1000 may write to"
    return f"state: {folder / FILE} is no history of ours ({reason}); move it away"
