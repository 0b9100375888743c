"""Progress of a run: text on a terminal, JSON lines for every other reader."""

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
"""Minimum seconds between two progress lines."""

LAST_LINE_SECONDS = 10.0
"""Seconds that the last line waits for a reader."""

JsonValue = str | int | float | bool | None


@dataclass(frozen=True)
class Summary:
    """The result of a run."""

    fetched_bytes: int
    reused_bytes: int
    seconds: float


@dataclass
class Reporter:
    """A writer of events to `out`, one line each. A line without a reader is counted in `lost` and blocks nothing.

    It is safe for threads.
    """

    out: TextIO | None = field(default_factory=lambda: sys.stdout)
    clock: Callable[[], float] = time.monotonic
    lost: int = 0
    queued: int = 0
    """Bytes of files whose transfer has not begun."""
    transfers: list["Transfer"] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def event(self, event: str, **facts: JsonValue) -> None:
        """Write an event. `done` is JSON on a terminal too, so that a tool can always read the last line."""
        last = event == "done"
        if self.out is not None and self.out.isatty() and not last:
            line = f"{event}: " + ", ".join(f"{key} {value}" for key, value in facts.items() if value is not None)
        else:
            line = json.dumps({"event": event, **facts})
        with self._lock:
            self.lost += not write_line(self.out, line, seconds=LAST_LINE_SECONDS if last else 0)

    def transfer(self, file: str, *, total: int, start: int) -> "Transfer":
        """Return the progress of a download that begins with `start` of `total` bytes here."""
        return Transfer(self, file, total, start)

    def all_left(self) -> tuple[int, float] | None:
        """Return the missing bytes and the bytes per second of all files; None for a single file."""
        transfers = list(self.transfers)
        if not self.queued and len(transfers) < 2:
            return None
        return self.queued + sum(it.left for it in transfers), sum(it.rate for it in transfers)


class Transfer:
    """The progress of one file; `at` may be called for every chunk. As a context it counts as running."""

    def __init__(self, reporter: Reporter, file: str, total: int, start: int) -> None:
        self._reporter, self._file, self._total, self._start = reporter, file, total, start
        self._began = self._last_line = reporter.clock()
        self._have, self.rate = start, 0.0

    def __enter__(self) -> Self:
        self._reporter.transfers.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._reporter.transfers.remove(self)

    @property
    def left(self) -> int:
        """Return the missing bytes."""
        return self._total - self._have

    def at(self, have: int) -> None:
        """Report that `have` bytes are here, at most every PERIOD."""
        self._have, now = have, self._reporter.clock()
        if now - self._last_line < PERIOD:
            return
        self._last_line = now
        self.rate = (have - self._start) / (now - self._began)
        facts = {"bytes_per_second": round(self.rate), "eta_seconds": _eta(self.left, self.rate)}
        if everything := self._reporter.all_left():
            facts |= {"all_left_bytes": everything[0], "all_eta_seconds": _eta(*everything)}
        self._reporter.event("progress", file=self._file, bytes=have, total=self._total, **facts)


def _eta(left: int, rate: float) -> int | None:
    return round(left / rate) if rate > 0 else None


def write_line(out: TextIO | None, line: str, *, seconds: float = 0) -> bool:
    """Write a line; False without a reader within `seconds`, or if the reader has gone.

    The stream's own buffer is bypassed: its flush at the end of the process would fail it.
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
