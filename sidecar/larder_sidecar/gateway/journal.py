"""The log: one JSON object a line on stdout. No prompt, no answer, no credential ever gets here."""

import asyncio
import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import Protocol

from .wire.request import Request

LEVELS = ("debug", "info", "warning", "error")
_INFO = LEVELS.index("info")
_quoted = json.encoder.encode_basestring_ascii


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
        self._second = 0
        self._second_text = ""
        self._timer: asyncio.TimerHandle | None = None

    def enabled(self, level: str) -> bool:
        """Whether lines of this level are written."""
        return LEVELS.index(level) >= self._least

    def say(self, level: str, message: str, **fields: object) -> None:
        """Write a line."""
        if not self.enabled(level):
            return
        self._add(json.dumps({"time": self._stamp(), "level": level, "message": message, **fields}))

    def request(self, request: Request, name: bytes, seconds: float) -> None:
        """The line of an answered request: written by hand, for it is half the cost of a small request otherwise."""
        if self._least > _INFO:
            return
        code = f', "code": "{request.code}"' if request.code else ""
        # Ids and codes need no escapes, nor do the characters that a request id may have.
        model = f'"{request.model}"' if request.model else "null"
        path = _quoted(request.path[:200])
        self._add(
            f'{{"time": "{self._stamp()}", "level": "info", "message": "request", "method": "{request.method}", '
            f'"path": {path}, "status": {request.status}, "model": {model}, "duration_ms": {seconds * 1000:.3f}, '
            f'"bytes_in": {request.received}, "bytes_out": {request.sent}, "request_id": "{name.decode()}"{code}}}'
        )

    def _stamp(self) -> str:
        now = time.time()
        if (second := int(now)) != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_text}.{int((now - second) * 1000):03d}Z"

    def _add(self, line: str) -> None:
        self._lines.append(line)
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
