"""Tells how a fetch goes: for people on a terminal, as JSON lines for everything else."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

PERIOD = 2.0
"""Seconds between two progress lines at least."""

JsonValue = str | int | float | bool | None


@dataclass
class Reporter:
    """Writes events to `out`, one line each."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    clock: Callable[[], float] = time.monotonic

    def event(self, event: str, **facts: JsonValue) -> None:
        """One event. `done` is JSON on a terminal too, so that the last line can always be read by a tool."""
        if self.out.isatty() and event != "done":
            line = f"{event}: " + ", ".join(f"{key} {value}" for key, value in facts.items() if value is not None)
        else:
            line = json.dumps({"event": event, **facts})
        print(line, file=self.out, flush=True)

    def transfer(self, file: str, *, total: int, start: int) -> "Transfer":
        """A download that begins with `start` of `total` bytes already here."""
        return Transfer(self, file, total, start)


class Transfer:
    """The progress of one download; `at` may be called for every chunk."""

    def __init__(self, reporter: Reporter, file: str, total: int, start: int) -> None:
        self._reporter, self._file, self._total, self._start = reporter, file, total, start
        self._began = self._told = reporter.clock()

    def at(self, have: int) -> None:
        """Report `have` bytes, at most every PERIOD."""
        now = self._reporter.clock()
        if now - self._told < PERIOD:
            return
        self._told = now
        rate = (have - self._start) / (now - self._began)
        eta = round((self._total - have) / rate) if rate > 0 else None
        self._reporter.event(
            "progress", file=self._file, bytes=have, total=self._total, bytes_per_second=round(rate), eta_seconds=eta
        )
