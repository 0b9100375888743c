"""Tells how a fetch goes: for people on a terminal, as JSON lines for everything else."""

import json
import os
import select
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

PERIOD = 2.0
"""Seconds between two progress lines at least."""

LAST_WORD = 10.0
"""Seconds that a line without a successor waits for a reader."""

JsonValue = str | int | float | bool | None


@dataclass
class Reporter:
    """Writes events to `out`, one line each. A line that nobody takes is counted in `lost` and holds nothing up."""

    out: TextIO | None = field(default_factory=lambda: sys.stdout)
    clock: Callable[[], float] = time.monotonic
    lost: int = 0
    after: int = 0
    """Bytes that are to be fetched when the file under way is here."""

    def event(self, event: str, **facts: JsonValue) -> None:
        """One event. `done` is JSON on a terminal too, so that the last line can always be read by a tool."""
        last = event == "done"
        if self.out is not None and self.out.isatty() and not last:
            line = f"{event}: " + ", ".join(f"{key} {value}" for key, value in facts.items() if value is not None)
        else:
            line = json.dumps({"event": event, **facts})
        self.lost += not say(self.out, line, seconds=LAST_WORD if last else 0)

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
        facts: dict[str, JsonValue] = {"bytes_per_second": round(rate), "eta_seconds": eta}
        if self._reporter.after:
            left = self._total - have + self._reporter.after
            facts |= {"all_left_bytes": left, "all_eta_seconds": round(left / rate) if rate > 0 else None}
        self._reporter.event("progress", file=self._file, bytes=have, total=self._total, **facts)


def say(out: TextIO | None, line: str, *, seconds: float = 0) -> bool:
    """Write a line; False where nobody takes it within `seconds`, or its reader has gone.

    Past the stream's own buffer, which would be flushed once more at the end of the process and fail it.
    """
    if out is None:
        return False
    try:
        target = out.fileno()
    except OSError:  # in memory
        print(line, file=out)
        return True
    poll, text = select.poll(), f"{line}\n".encode()
    poll.register(target, select.POLLOUT)
    try:
        while text:
            if not poll.poll(1000 * seconds):
                return False
            text = text[os.write(target, text[: select.PIPE_BUF]) :]  # as much as is taken without waiting
    except OSError:
        return False
    return True
