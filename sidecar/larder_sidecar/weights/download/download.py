"""The download of one file into a part file, verified against the plan.

The size is known before the first byte, and the hash if the source states it. The first connection finds out whether
the source serves ranges; if it does, other connections fetch later pieces. An interrupted download resumes with Range
and If-Range. A wrong hash deletes the part; if it had bytes of an earlier run, the download starts over once.
"""

import functools
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import urllib3

from ...config.weights import FIRST_PULL, WeightsFile
from ..client.address import redact_url
from ..client.deadline import run_within
from ..client.failures import LostError
from ..client.headers import compression, parse_size
from ..errors import ContentError, HubError, StallError, TransientError
from ..progress import Reporter, Transfer
from ..retry import STALL_BYTES, Patience, Tries
from ..sources.source import FileMetadata, Source
from .hosts import Attempts, Host
from .partial import Part
from .pieces import Piece
from .ranges import parse_range_end, range_headers, strong_etag
from .workers import StoppedError, Workers

T = TypeVar("T")
CHUNK = 1 << 19
"""Bytes of a read, for a single file. Measured with four connections: twice as many cost 5 MB and gain nothing."""
_ENCODINGS = {"gzip", "x-gzip", "deflate"}
_CHECK_ENTRY = "Check the catalog entry; the source may have replaced the file."


class Download:
    """The download of one file. `guard` raises if we may no longer write; `fetched` counts received bytes.

    `pause` waits before another attempt, in seconds. `reading` is entered while an answer is read. Downloads that share
    `host` share its limits. `chunk` limits the bytes of a read, and so the memory of each connection.
    """

    def __init__(
        self,
        source: Source,
        file: WeightsFile,
        host: Host,
        patience: Patience,
        reporter: Reporter,
        guard: Callable[[], None],
        pause: Callable[[float], object] = time.sleep,
        reading: Callable[[urllib3.BaseHTTPResponse], AbstractContextManager[None]] = lambda _: nullcontext(),
        chunk: int = CHUNK,
    ) -> None:
        self._source, self._file, self._patience, self._reporter = source, file, patience, reporter
        self._guard, self._host, self._reading, self._chunk = guard, host, reading, chunk
        self._attempts = Attempts(file.path, host, reporter, pause)
        self._counting = threading.Lock()
        self._ranges = True
        """False once the source has refused a Range: then the whole file comes in one answer."""
        self.fetched = 0

    def metadata(self) -> FileMetadata:
        """Return the source's metadata, compared with the plan. Raises HubError."""
        tries = Tries(self._patience)
        metadata = self._attempts.run(self._ask_source, tries, self._guard, lambda: 0)
        where, file = redact_url(self._file.url), self._file
        if metadata.bytes is not None and metadata.bytes != file.bytes:
            raise ContentError(f"{where} has {metadata.bytes} bytes, the plan says {file.bytes}", _CHECK_ENTRY)
        if metadata.sha256 and file.sha256 not in (FIRST_PULL, metadata.sha256):
            raise ContentError(f"{where} has sha256 {metadata.sha256}, the plan says {file.sha256}", _CHECK_ENTRY)
        return metadata

    def _ask_source(self) -> FileMetadata:
        """Ask the source for metadata; empty if it drops the connection and the plan knows the file."""
        try:
            return self._source.metadata(self._file)
        except (LostError, StallError):
            if self._file.sha256 == FIRST_PULL:
                raise
            return FileMetadata(sha256=None, bytes=None)

    def fetch_into(self, part: Part, expected: str | None) -> None:
        """Fill `part`, and compare it with the sha256 `expected` if there is one.

        Raises HubError, or OSError for the disk.
        """
        resumed = part.held > 0
        while True:
            if not part.complete:
                self._fill(part, expected)
            found = part.sha256()
            if expected in (None, found):
                return
            part.restart(None)
            if not resumed:
                part.discard()
                raise ContentError(
                    f"{redact_url(self._file.url)}: the content has sha256 {found}, expected {expected}",
                    "Use another source: this one, or a proxy, alters the file. The part was deleted.",
                )
            resumed = False
            self._reporter.event("restarted", file=self._file.path, reason="the resumed part had a wrong hash")

    def _fill(self, part: Part, expected: str | None) -> None:
        tries = Tries(self._patience)

        def help_out() -> None:
            def guard() -> None:
                workers.check()
                self._guard()

            while self._attempts.run(
                lambda: self._fetch_as_helper(part, workers, guard, transfer), tries, guard, lambda: part.held
            ):
                pass

        transfer = self._reporter.transfer(self._file.path, total=self._file.bytes, start=part.held)
        with transfer, Workers(help_out) as workers:

            def guard() -> None:
                workers.raise_error()
                self._guard()

            def lead() -> bool:
                return self._fetch_as_leader(part, workers, guard, transfer, ranges=bool(expected))

            while not part.complete:
                if not self._attempts.run(lead, tries, guard, lambda: part.held):
                    workers.wait()

    def _fetch_as_leader(
        self, part: Part, workers: Workers, guard: Callable[[], None], transfer: Transfer, *, ranges: bool
    ) -> bool:
        """Fetch a piece, or the whole file from a source without ranges; False if helpers fetch all missing pieces."""
        if (piece := part.take()) is None:
            return False
        try:
            asked = range_headers(part, piece) if self._ranges and (ranges or part.etag) else {}
            with self._source.content(self._file, asked) as response, self._reading(response):
                start, stop = self._start_answer(part, piece, response, workers)
                self._receive(part, start, stop, response, guard, transfer)
        except HubError as error:
            if not asked or self._attempts.served or type(error) is not HubError:  # 400, 405, 501, …
                raise
            self._ranges = False
        finally:
            part.release(piece)
        return True

    def _fetch_as_helper(self, part: Part, workers: Workers, guard: Callable[[], None], transfer: Transfer) -> bool:
        """Fetch a piece in parallel to the leader; False if none is left. Raises StoppedError for another file."""
        if (piece := part.take()) is None:
            return False
        try:
            with (
                self._source.content(self._file, range_headers(part, piece)) as response,
                self._reading(response),
                workers.register(response),
            ):
                stop = parse_range_end(response, piece, self._file.bytes)
                if stop is None or strong_etag(response) != part.etag:
                    # Only the leader may start over.
                    raise StoppedError
                self._receive(part, piece.start, stop, response, guard, transfer)
        finally:
            part.release(piece)
        return True

    def _start_answer(
        self, part: Part, piece: Piece, response: urllib3.BaseHTTPResponse, workers: Workers
    ) -> tuple[int, int]:
        """Return the range of the file that an answer fills, by its head: first byte and end."""
        where, size, etag = redact_url(self._file.url), self._file.bytes, strong_etag(response)
        stop = parse_range_end(response, piece, size)
        if response.status == 416 or (response.status == 206 and stop is None and self._ranges):
            self._ranges = False
            self._start_over(part, workers, "the source cannot resume at this position")
        if response.status == 206:
            if stop is None:
                workers.stop()
                part.discard()
                content_range = response.headers.get("Content-Range", "")[:80]
                raise ContentError(
                    f"{where}: requested byte {piece.start} of {size}, got Content-Range {content_range!r}",
                    _CHECK_ENTRY,
                )
            if part.held == 0 and not workers.started:
                part.restart(etag)
            elif etag and part.etag and etag != part.etag:
                self._start_over(part, workers, "the file changed during the download")
            self._attempts.served = True
            workers.start(min(self._host.limit, part.pieces) - 1)
            return piece.start, stop
        packed = compression(response)
        if packed and packed not in _ENCODINGS:
            raise HubError(
                f"{where} sends a compressed file ({packed[:40]}), which was not requested",
                "Turn compression off for this file in the server and its proxies.",
            )
        announced = None if packed else parse_size(response.headers.get("Content-Length", ""))
        if announced not in (None, size):
            raise ContentError(f"{where} sends {announced} bytes, the plan says {size}", _CHECK_ENTRY)
        self._attempts.served = True
        workers.stop()
        part.restart(etag)
        return 0, size

    def _start_over(self, part: Part, workers: Workers, reason: str) -> None:
        workers.stop()
        # Without an ETag from now on: mirrors may use different ETags for one content, and the hash decides in the end.
        part.restart(None)
        raise TransientError(f"{redact_url(self._file.url)}: {reason}")

    def _receive(
        self,
        part: Part,
        start: int,
        stop: int,
        response: urllib3.BaseHTTPResponse,
        guard: Callable[[], None],
        transfer: Transfer,
    ) -> None:
        where, patience = redact_url(self._file.url), self._patience
        at, since, mark = start, time.monotonic(), start
        while at < stop:
            chunk = _read(response, min(self._chunk, stop - at), 2 * patience.stall_seconds)
            if not chunk:
                raise TransientError(f"{where}: the connection closed after {at} of {self._file.bytes} bytes")
            guard()
            part.write(at, chunk)
            at += len(chunk)
            with self._counting:
                self.fetched += len(chunk)
                transfer.at(part.held)
            if at - mark >= STALL_BYTES:
                since, mark = time.monotonic(), at
            elif time.monotonic() - since > patience.stall_seconds:
                raise StallError(f"{where}: fewer than {STALL_BYTES} bytes in {patience.stall_seconds:g} s")


def _read(response: urllib3.BaseHTTPResponse, most: int, seconds: float) -> bytes:
    """Read the available bytes of a body, decompressed. Raises TimeoutError."""
    read = functools.partial(response.read1, most, decode_content=bool(compression(response)))
    if "Transfer-Encoding" not in response.headers:
        return read()
    # The heads of chunks are between the bytes of a body, and may drip like any head.
    try:
        return run_within(seconds, read, too_late=lambda _: None)
    except TimeoutError:
        response.shutdown()  # to close it would wait for the thread that reads
        raise
