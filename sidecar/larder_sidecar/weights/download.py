"""Brings one file into a part file and proves that it is the one the plan means.

Known before the first byte: commit, size and, for a file in LFS, the hash. Interrupted downloads resume with Range and
If-Range. A wrong hash deletes the part; where bytes of an earlier run were among it, one fresh start is made.
"""

import functools
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import urllib3

from ..config.weights import FIRST_PULL, WeightsFile
from .deadline import within
from .errors import ContentError, StallError, TransientError
from .hub import FileMetadata, Hub, shown, whole
from .part import Part
from .progress import Reporter

T = TypeVar("T")
CHUNK = 1 << 20
STALL_BYTES = 64 * 1024
"""Fewer bytes than this within the stall time count as none: a trickle holds a pod for ever otherwise."""
_CHECK_ENTRY = "Check the catalog entry; the file at the source may have been replaced."


@dataclass(frozen=True)
class Patience:
    """How much a source may fail. Times in seconds."""

    stall_seconds: float = 30.0
    failures: int = 5
    """Attempts in a row without a new byte."""
    first_wait: float = 1.0
    longest_wait: float = 30.0

    def wait(self, failures: int, asked: float) -> float:
        """Before the next attempt: doubled each time, with jitter so that many pods do not return at once."""
        backoff = min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1))
        return max(asked, backoff * (0.5 + random.random() / 2))  # noqa: S311 (jitter, no secret)


class Download:
    """One file at its hub. `guard` raises when we may no longer write; `fetched` counts bytes off the wire.

    `pause` is how it waits before another attempt, in seconds.
    """

    def __init__(
        self,
        hub: Hub,
        file: WeightsFile,
        patience: Patience,
        reporter: Reporter,
        guard: Callable[[], None],
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._hub, self._file, self._patience, self._reporter, self._guard = hub, file, patience, reporter, guard
        self._pause = pause
        self.fetched = 0

    def metadata(self) -> FileMetadata:
        """What the hub says, held against the plan. Raises HubError."""
        metadata = self._patiently(lambda: self._hub.metadata(self._file), lambda: 0)
        where, file = shown(self._file.url), self._file
        if metadata.bytes is not None and metadata.bytes != file.bytes:
            raise ContentError(f"{where} has {metadata.bytes} bytes, the plan says {file.bytes}", _CHECK_ENTRY)
        if metadata.sha256 and file.sha256 not in (FIRST_PULL, metadata.sha256):
            raise ContentError(f"{where} has sha256 {metadata.sha256}, the plan says {file.sha256}", _CHECK_ENTRY)
        return metadata

    def into(self, part: Part, expected: str | None) -> None:
        """Fill `part` and hold it against the sha256 `expected`, if there is one.

        Raises HubError, or OSError for the disk.
        """
        resumed = part.size > 0
        while True:
            self._patiently(lambda: self._fill(part, expected), lambda: part.size)
            found = part.sha256()
            if expected in (None, found):
                return
            part.restart(None)
            if not resumed:
                part.discard()
                raise ContentError(
                    f"{shown(self._file.url)}: the content has sha256 {found}, expected {expected}",
                    "The part was deleted. The source, or something on the way, altered the file: try another source.",
                )
            resumed = False
            self._reporter.event("restarted", file=self._file.path, reason="the resumed part had a wrong hash")

    def _fill(self, part: Part, expected: str | None) -> None:
        if part.size > self._file.bytes:
            part.restart(None)
        if part.size == self._file.bytes:
            return
        headers = {}
        if part.size and (part.etag or expected):
            headers["Range"] = f"bytes={part.size}-"
            if part.etag:
                headers["If-Range"] = part.etag
        with self._hub.content(self._file, headers) as response:
            self._begin(part, response)
            self._receive(part, response)

    def _begin(self, part: Part, response: urllib3.BaseHTTPResponse) -> None:
        """Decide from the head of the answer where its bytes go."""
        where, size = shown(self._file.url), self._file.bytes
        if response.status == 416:
            part.restart(None)
            raise TransientError(f"{where}: the hub cannot resume at this place")
        if response.status == 206:
            span = response.headers.get("Content-Range", "")
            if not re.fullmatch(rf"bytes {part.size}-\d+/({size}|\*)", span):
                part.discard()
                raise ContentError(f"{where}: asked from byte {part.size} of {size}, got {span[:80]!r}", _CHECK_ENTRY)
            return
        announced = whole(response.headers.get("Content-Length", ""))
        if announced not in (None, size):
            raise ContentError(f"{where} sends {announced} bytes, the plan says {size}", _CHECK_ENTRY)
        etag = response.headers.get("ETag")
        # RFC 9110 13.1.5: only a strong ETag may stand in If-Range.
        part.restart(etag if etag and not etag.startswith("W/") else None)

    def _receive(self, part: Part, response: urllib3.BaseHTTPResponse) -> None:
        file, patience = self._file, self._patience
        transfer = self._reporter.transfer(file.path, total=file.bytes, start=part.size)
        since, mark = time.monotonic(), part.size
        while part.size < file.bytes:
            chunk = _read(response, min(CHUNK, file.bytes - part.size), 2 * patience.stall_seconds)
            if not chunk:
                raise TransientError(
                    f"{shown(file.url)}: the connection closed after {part.size} of {file.bytes} bytes"
                )
            self._guard()
            part.append(chunk)
            self.fetched += len(chunk)
            transfer.at(part.size)
            if part.size - mark >= STALL_BYTES:
                since, mark = time.monotonic(), part.size
            elif time.monotonic() - since > patience.stall_seconds:
                raise StallError(f"{shown(file.url)}: fewer than {STALL_BYTES} bytes in {patience.stall_seconds:g} s")

    def _patiently(self, attempt: Callable[[], T], progress: Callable[[], int]) -> T:
        failures, reached = 0, progress()
        while True:
            try:
                return attempt()
            except TransientError as error:
                failures = 1 if progress() - reached >= STALL_BYTES else failures + 1
                reached = max(reached, progress())
                if failures >= self._patience.failures:
                    raise
                wait = self._patience.wait(failures, error.wait)
                self._reporter.event("retry", file=self._file.path, reason=error.reason, wait_seconds=round(wait, 1))
            self._pause(wait)
            self._guard()


def _read(response: urllib3.BaseHTTPResponse, most: int, seconds: float) -> bytes:
    """What has come of a body, undecoded. Raises TimeoutError."""
    read = functools.partial(response.read1, most, decode_content=False)
    if "Transfer-Encoding" not in response.headers:
        return read()
    # Between the bytes of a body stand the heads of its chunks, which may drip as any head.
    try:
        return within(seconds, read, too_late=lambda _: None)
    except TimeoutError:
        response.shutdown()  # to close it one would wait for whoever reads
        raise
