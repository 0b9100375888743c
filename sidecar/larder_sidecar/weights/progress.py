"""Tells how a fetch goes: for people on a terminal, as JSON lines for everything else."""

import json
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, TextIO

PERIOD = 2.0
"""Seconds between two progress lines at least."""

LAST_WORD = 10.0
"""Seconds that a line without a successor waits for a reader."""

JsonValue = str | int | float | bool | None


@dataclass(frozen=True)
class Summary:
    """What a run did."""

    fetched_bytes: int
    reused_bytes: int
    seconds: float


@dataclass
class Reporter:
    """Writes events to `out`, one line each. A line that nobody takes is counted in `lost` and holds nothing up.

    Several threads may tell of a transfer each.
    """

    out: TextIO | None = field(default_factory=lambda: sys.stdout)
    clock: Callable[[], float] = time.monotonic
    lost: int = 0
    after: int = 0
    """Bytes of files that are to be transferred and are not under way yet."""
    under_way: list["Transfer"] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def event(self, event: str, **facts: JsonValue) -> None:
        """One event. `done` is JSON on a terminal too, so that the last line can always be read by a tool."""
        last = event == "done"
        if self.out is not None and self.out.isatty() and not last:
            line = f"{event}: " + ", ".join(f"{key} {value}" for key, value in facts.items() if value is not None)
        else:
            line = json.dumps({"event": event, **facts})
        with self._lock:
            self.lost += not say(self.out, line, seconds=LAST_WORD if last else 0)

    def transfer(self, file: str, *, total: int, start: int) -> "Transfer":
        """A download that begins with `start` of `total` bytes already here."""
        return Transfer(self, file, total, start)

    def all_left(self) -> tuple[int, float] | None:
        """Bytes that are not here yet, and bytes a second, of all files; None where there is but one."""
        transfers = list(self.under_way)
        if not self.after and len(transfers) < 2:
            return None
        return self.after + sum(it.left for it in transfers), sum(it.rate for it in transfers)


class Transfer:
    """The progress of one file; `at` may be called for every chunk. As a context it counts among those under way."""

    def __init__(self, reporter: Reporter, file: str, total: int, start: int) -> None:
        self._reporter, self._file, self._total, self._start = reporter, file, total, start
        self._began = self._told = reporter.clock()
        self._have, self.rate = start, 0.0

    def __enter__(self) -> Self:
        self._reporter.under_way.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._reporter.under_way.remove(self)

    @property
    def left(self) -> int:
        """Bytes that are not here yet."""
        return self._total - self._have

    def at(self, have: int) -> None:
        """Report `have` bytes, at most every PERIOD."""
        self._have, now = have, self._reporter.clock()
        if now - self._told < PERIOD:
            return
        self._told = now
        self.rate = (have - self._start) / (now - self._began)
        facts = {"bytes_per_second": round(self.rate), "eta_seconds": _eta(self.left, self.rate)}
        if everything := self._reporter.all_left():
            facts |= {"all_left_bytes": everything[0], "all_eta_seconds": _eta(*everything)}
        self._reporter.event("progress", file=self._file, bytes=have, total=self._total, **facts)


def _eta(left: int, rate: float) -> int | None:
    return round(left / rate) if rate > 0 else None


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
