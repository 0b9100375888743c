"""The log: one JSON object per line on stdout, without prompts, answers and credentials."""

import asyncio
import contextlib
import json
import os
import select
import time
from datetime import UTC, datetime
from typing import Protocol

from .http.request import Request

LEVELS = ("debug", "info", "warning", "error")
_INFO = LEVELS.index("info")
quoted = json.encoder.encode_basestring_ascii


KEPT_BYTES = 2**20
"""Limit for lines that wait for a slow reader, in bytes; further lines are dropped."""
PIPE_BYTES = 2**16
"""Bytes of one write: the capacity of a pipe, pipe(7)."""
AGAIN_SECONDS = 0.005
LAST_SECONDS = 0.5
"""Time for the reader to take waiting lines when the process ends, in seconds."""


class Sink(Protocol):
    """The destination of the lines."""

    def write(self, data: bytes, /) -> int:
        """Take as many bytes as possible without waiting; return their number. Raises OSError if it is closed."""


class Descriptor:
    """A file descriptor of the process, written without waiting: an engine's stream must not stall for a log's reader.

    It does not use O_NONBLOCK, which would apply to every process with the same pipe or terminal.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._poll = select.poll()
        self._poll.register(number, select.POLLOUT)

    def write(self, data: bytes, /) -> int:
        """Write in pieces for which a writable pipe has room: pipe(7), PIPE_BUF."""
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while taken < len(data) and self._poll.poll(0):
                taken += os.write(self._number, data[taken : taken + select.PIPE_BUF])
        return taken


class Log:
    """Collects lines for a moment, so that many requests share one system call."""

    def __init__(self, level: str = "info", sink: Sink | None = None, delay: float = 0.05) -> None:
        self._least = LEVELS.index(level)
        self._sink = sink or Descriptor(1)
        self._delay = delay
        self._lines: list[str] = []
        self._held = 0
        """Characters of these lines."""
        self._waiting = bytearray()
        self._gone = False
        self._missing = 0
        """Lines dropped since the log last reported it."""
        self.dropped = 0
        """Lines that will not be read."""
        self._second = 0
        self._second_text = ""
        self._timer: asyncio.TimerHandle | None = None

    def enabled(self, level: str) -> bool:
        """Tell if lines of this level are written."""
        return LEVELS.index(level) >= self._least

    def say(self, level: str, message: str, **fields: object) -> None:
        """Write a line."""
        if not self.enabled(level):
            return
        line = {"time": self._stamp(), "level": level, "message": message, **fields}
        try:
            self._add(json.dumps(line, default=str))
        except (TypeError, ValueError, RecursionError):  # a value that json cannot encode
            self._drop()

    def request(self, request: Request, name: bytes, seconds: float) -> None:
        """Write the line of an answered request, without json: that would be half the cost of a small request."""
        if self._least > _INFO:
            return
        code = f', "code": {quoted(request.code)}' if request.code else ""
        # A method needs no escapes, nor do the characters that a request id may have.
        path = quoted(request.path[:200])
        self._add(
            f'{{"time": "{self._stamp()}", "level": "info", "message": "request", "method": "{request.method}", '
            f'"path": {path}, "status": {request.status}, "duration_ms": {seconds * 1000:.3f}, '
            f'"bytes_in": {request.received}, "bytes_out": {request.sent}, '
            f'"request_id": "{name.decode("latin-1")}"{request.log_members()}{code}}}'
        )

    def _stamp(self) -> str:
        now = time.time()
        if (second := int(now)) != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_text}.{int((now - second) * 1000):03d}Z"

    def _add(self, line: str) -> None:
        if self._gone or len(self._waiting) + self._held > KEPT_BYTES:
            self._drop()
            return
        self._lines.append(line)
        self._held += len(line)
        self._later(self._delay)

    def _drop(self) -> None:
        self.dropped += 1
        self._missing += 1

    def _later(self, seconds: float) -> None:
        if self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(seconds, self.flush)
            except RuntimeError:  # before or after the loop there would be no flush
                self._write()

    def flush(self) -> None:
        """Write the collected lines, as far as the reader takes them."""
        self._timer = None
        self._write()
        if self._waiting:
            self._later(AGAIN_SECONDS)
        elif self._missing and not self._gone:
            missing, self._missing = self._missing, 0
            self.say("warning", "lines of the log are missing: it was not read in time", lines=missing)

    def close(self) -> None:
        """Write the collected lines; a slow reader gets a moment."""
        end = time.monotonic() + LAST_SECONDS
        self._write()
        while self._waiting and time.monotonic() < end:
            time.sleep(AGAIN_SECONDS)
            self._write()

    def _write(self) -> None:
        if self._lines:
            lines, self._lines, self._held = self._lines, [], 0
            self._waiting += ("\n".join(lines) + "\n").encode(errors="backslashreplace")
        try:
            del self._waiting[: self._sink.write(bytes(self._waiting[:PIPE_BYTES]))]
        except OSError as reason:
            self._gone = True
            self.dropped += self._waiting.count(b"\n")
            self._waiting.clear()
            with contextlib.suppress(OSError):
                Descriptor(2).write(
                    f"stdout cannot be written ({reason.strerror}): serving on without a log\n".encode()
                )
