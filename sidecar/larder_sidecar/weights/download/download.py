"""Brings one file into a part file and proves that it is the one the plan means.

Known before the first byte: size and, where the source tells it, the hash. The first connection finds out whether the
source serves ranges; where it does, others fetch later pieces beside it. Interrupted downloads resume with Range and
If-Range. A wrong hash deletes the part; where bytes of an earlier run were among it, one fresh start is made.
"""

import functools
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import urllib3

from ...config.weights import FIRST_PULL, WeightsFile
from ..client.address import shown
from ..client.deadline import within
from ..client.failures import LostError
from ..client.headers import encoding, whole
from ..errors import BusyError, ContentError, DeniedError, HubError, StallError, TransientError
from ..progress import Reporter, Transfer
from ..retry import STALL_BYTES, Patience, Tries, window
from ..sources.source import FileMetadata, Source
from .hosts import Host
from .partial import Part
from .pieces import Piece
from .ranges import asked_range, span, strong_etag
from .workers import Crew, OverError

T = TypeVar("T")
CHUNK = 1 << 19
"""Bytes of a file that comes alone. Measured with four connections: twice as many cost 5 MB more and gain nothing."""
_ENCODINGS = {"gzip", "x-gzip", "deflate"}
_CHECK_ENTRY = "Check the catalog entry; the file at the source may have been replaced."


class Download:
    """One file at its source. `guard` raises when we may no longer write; `fetched` counts bytes off the wire.

    `pause` is how it waits before another attempt, in seconds. Downloads that share `host` share its limits. `chunk` is
    how many bytes are received at once where so many have come: memory for each connection.
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
        chunk: int = CHUNK,
    ) -> None:
        self._source, self._file, self._patience, self._reporter = source, file, patience, reporter
        self._guard, self._pause, self._host, self._chunk = guard, pause, host, chunk
        self._counting = threading.Lock()
        self._ranges = True
        """False where the source has refused a Range: then everything comes in one answer."""
        self._served = False
        """The source has begun to send the file: a refusal that comes later may go away."""
        self.fetched = 0

    def metadata(self) -> FileMetadata:
        """What the source says, held against the plan. Raises HubError."""
        tries = Tries(self._patience)
        metadata = self._patiently(self._told, tries, self._guard, lambda: 0)
        where, file = shown(self._file.url), self._file
        if metadata.bytes is not None and metadata.bytes != file.bytes:
            raise ContentError(f"{where} has {metadata.bytes} bytes, the plan says {file.bytes}", _CHECK_ENTRY)
        if metadata.sha256 and file.sha256 not in (FIRST_PULL, metadata.sha256):
            raise ContentError(f"{where} has sha256 {metadata.sha256}, the plan says {file.sha256}", _CHECK_ENTRY)
        return metadata

    def _told(self) -> FileMetadata:
        """Ask the source; nothing where it hangs up on the question and the plan knows the file."""
        try:
            return self._source.metadata(self._file)
        except (LostError, StallError):
            if self._file.sha256 == FIRST_PULL:
                raise
            return FileMetadata(sha256=None, bytes=None)

    def into(self, part: Part, expected: str | None) -> None:
        """Fill `part` and hold it against the sha256 `expected`, if there is one.

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
                    f"{shown(self._file.url)}: the content has sha256 {found}, expected {expected}",
                    "The part was deleted. The source, or something on the way, altered the file: try another source.",
                )
            resumed = False
            self._reporter.event("restarted", file=self._file.path, reason="the resumed part had a wrong hash")

    def _fill(self, part: Part, expected: str | None) -> None:
        tries = Tries(self._patience)

        def help_out() -> None:
            def guard() -> None:
                crew.check()
                self._guard()

            while self._patiently(lambda: self._help(part, crew, guard, transfer), tries, guard, lambda: part.held):
                pass

        transfer = self._reporter.transfer(self._file.path, total=self._file.bytes, start=part.held)
        with transfer, Crew(help_out) as crew:

            def guard() -> None:
                crew.complain()
                self._guard()

            def lead() -> bool:
                return self._lead(part, crew, guard, transfer, ranges=bool(expected))

            while not part.complete:
                if not self._patiently(lead, tries, guard, lambda: part.held):
                    crew.wait()

    def _lead(self, part: Part, crew: Crew, guard: Callable[[], None], transfer: Transfer, *, ranges: bool) -> bool:
        """Fetch a piece, or the whole where the source gives nothing less; False where others fetch all that lacks."""
        if (piece := part.take()) is None:
            return False
        try:
            asked = asked_range(part, piece) if self._ranges and (ranges or part.etag) else {}
            with self._source.content(self._file, asked) as response:
                start, stop = self._begin(part, piece, response, crew)
                self._receive(part, start, stop, response, guard, transfer)
        except HubError as error:
            if not asked or self._served or type(error) is not HubError:  # no words of its own: 400, 405, 501, …
                raise
            self._ranges = False
        finally:
            part.give_back(piece)
        return True

    def _help(self, part: Part, crew: Crew, guard: Callable[[], None], transfer: Transfer) -> bool:
        """Fetch a piece beside others; False where there is none. Raises OverError where the source gives no such."""
        if (piece := part.take()) is None:
            return False
        try:
            with self._source.content(self._file, asked_range(part, piece)) as response, crew.reading(response):
                stop = span(response, piece, self._file.bytes)
                if stop is None or strong_etag(response) != part.etag:
                    # The leader finds out what that means: it alone may start over.
                    raise OverError
                self._receive(part, piece.start, stop, response, guard, transfer)
        finally:
            part.give_back(piece)
        return True

    def _begin(self, part: Part, piece: Piece, response: urllib3.BaseHTTPResponse, crew: Crew) -> tuple[int, int]:
        """Decide from the head of the answer where its bytes go: from where, up to where."""
        where, size, etag = shown(self._file.url), self._file.bytes, strong_etag(response)
        stop = span(response, piece, size)
        if response.status == 416 or (response.status == 206 and stop is None and self._ranges):
            self._ranges = False
            self._start_over(part, crew, "the source cannot resume at this place")
        if response.status == 206:
            if stop is None:
                crew.disband()
                part.discard()
                told = response.headers.get("Content-Range", "")[:80]
                raise ContentError(f"{where}: asked from byte {piece.start} of {size}, got {told!r}", _CHECK_ENTRY)
            if part.held == 0 and not crew.grown:
                part.restart(etag)
            elif etag and part.etag and etag != part.etag:
                self._start_over(part, crew, "the file has changed since its first bytes came")
            self._served = True
            crew.grow(min(self._host.most, part.pieces) - 1)
            return piece.start, stop
        packed = encoding(response)
        if packed and packed not in _ENCODINGS:
            raise HubError(
                f"{where} comes compressed ({packed[:40]}), which was not asked for",
                "Have the server, and what stands before it, send this file as it is.",
            )
        announced = None if packed else whole(response.headers.get("Content-Length", ""))
        if announced not in (None, size):
            raise ContentError(f"{where} sends {announced} bytes, the plan says {size}", _CHECK_ENTRY)
        self._served = True
        crew.disband()
        part.restart(etag)
        return 0, size

    def _start_over(self, part: Part, crew: Crew, reason: str) -> None:
        crew.disband()
        # Without an ETag from now on: mirrors may name one content differently, and the hash decides in the end.
        part.restart(None)
        raise TransientError(f"{shown(self._file.url)}: {reason}")

    def _receive(
        self,
        part: Part,
        start: int,
        stop: int,
        response: urllib3.BaseHTTPResponse,
        guard: Callable[[], None],
        transfer: Transfer,
    ) -> None:
        where, patience = shown(self._file.url), self._patience
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

    def _patiently(
        self, attempt: Callable[[], T], tries: Tries, guard: Callable[[], None], progress: Callable[[], int]
    ) -> T:
        while True:
            with self._host.connection(guard, self._pause):
                began = time.monotonic()
                try:
                    return attempt()
                except (TransientError, DeniedError) as caught:
                    error = self._passing(caught)
                    guard()  # it may be we who cut the connection
                    wait = tries.failed(error, began=began, progress=progress())
                    if wait is not None:
                        self._host.rest(wait, busy=isinstance(error, BusyError))
                        event, told = "waiting" if window(error) else "retry", round(wait, 1)
                        self._reporter.event(event, file=self._file.path, reason=error.reason, wait_seconds=told)

    def _passing(self, error: TransientError | DeniedError) -> TransientError:
        """Return an error that may go away, which a refusal is once the source has served. Raises any other."""
        if isinstance(error, TransientError):
            return error
        if not self._served:
            raise error
        return TransientError(error.reason, error.remedy)


def _read(response: urllib3.BaseHTTPResponse, most: int, seconds: float) -> bytes:
    """Read what has come of a body; one that came compressed is unpacked. Raises TimeoutError."""
    read = functools.partial(response.read1, most, decode_content=bool(encoding(response)))
    if "Transfer-Encoding" not in response.headers:
        return read()
    # Between the bytes of a body stand the heads of its chunks, which may drip as any head.
    try:
        return within(seconds, read, too_late=lambda _: None)
    except TimeoutError:
        response.shutdown()  # to close it one would wait for whoever reads
        raise
