"""The log: one JSON object a line on stdout. No prompt, no answer, no credential ever gets here."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from typing import Protocol

LEVELS = ("debug", "info", "warning", "error")


class Sink(Protocol):
    """Where the lines go."""

    def write(self, text: str, /) -> object:
        """Take some lines."""


class Stdout:
    """File descriptor 1, without a buffer of its own."""

    def write(self, text: str, /) -> object:
        """Write all of it; a reader that has gone is no reason to stop serving."""
        data = text.encode()
        try:
            while data:
                data = data[os.write(sys.stdout.fileno(), data) :]
        except OSError:
            return None
        return None


class Journal:
    """Collects lines for a moment: one system call for many requests."""

    def __init__(self, level: str = "info", sink: Sink | None = None, delay: float = 0.05) -> None:
        self._least = LEVELS.index(level)
        self._sink = sink or Stdout()
        self._delay = delay
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def enabled(self, level: str) -> bool:
        """Whether lines of this level are written."""
        return LEVELS.index(level) >= self._least

    def say(self, level: str, message: str, **fields: object) -> None:
        """Write a line."""
        if not self.enabled(level):
            return
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._lines.append(json.dumps({"time": stamp, "level": level, "message": message, **fields}))
        if self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(self._delay, self.flush)
            except RuntimeError:  # before the loop runs or after it: nobody would flush
                self.flush()

    def flush(self) -> None:
        """Write out what is collected."""
        self._timer = None
        if self._lines:
            self._sink.write("\n".join(self._lines) + "\n")
            self._lines = []
