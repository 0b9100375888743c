"""Uploads of blobs into a repository: a blob that is there is not sent, an interrupted upload goes on.

A blob goes in parts, each in a request, so that a lost connection costs one part, and proxies that limit requests let
them pass. The address of an upload is kept in the store until the blob is complete: after a kill, the next run asks the
registry how far it got. A registry that has forgotten the upload, or takes no parts, gets the whole blob again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from ..errors import ChunkError, ContentError, HubError
from ..progress import Reporter
from ..retry import Patience, retry_request
from .layer import Descriptor
from .registry import PartError, Registry
from .upload_state import UploadStates

CHUNK = 64 << 20
"""Bytes of a part: below the 100 MB at which hosted proxies cut requests, and few enough for gigabytes."""
_PARTS_REFUSED = 2
"""Refusals of parts, in a row, before a blob goes as a whole: one after a lost connection, one of a new upload."""
Content = Callable[[int], Iterator[bytes]]
"""Yields the bytes of a blob from a position. Raises FetchError."""


@dataclass
class Uploads:
    """Uploads to one registry. `chunk` is the size of a part in bytes."""

    registry: Registry
    sessions: UploadStates
    reporter: Reporter = field(default_factory=Reporter)
    patience: Patience = field(default_factory=Patience)
    chunk: int = CHUNK
    whole: bool = False
    """True once the registry has refused parts."""

    def push(self, repository: str, blob: Descriptor, content: Content, siblings: Iterable[str] = ()) -> int:
        """Send a blob unless it is there, or in a sibling repository. Raises FetchError.

        Returns the sent bytes, those of an earlier run included.
        """
        transfer = self.reporter.transfer(blob.digest, total=blob.size, start=0)
        upload = _Upload(self, repository, blob, content, transfer.at)

        def attempt() -> int:
            while True:
                try:
                    there = self.registry.has(repository, blob.digest) or upload.try_mount(siblings)
                    if not there:
                        upload.send()
                except (ChunkError, ContentError, PartError) as error:
                    if not upload.must_be_whole(error):
                        raise
                    self.whole = True
                    self.reporter.event("whole", reason=error.reason)
                else:
                    upload.forget()
                    return 0 if there and not upload.sent else blob.size

        return retry_request(attempt, self.patience, self.reporter, lambda: upload.sent)

    def in_parts(self, blob: Descriptor) -> bool:
        """Return True for a blob that goes in parts."""
        return blob.size > max(self.chunk, self.registry.min_part) and not self.whole


@dataclass
class _Upload:
    """The upload of one blob. `sent`: most bytes that the registry has confirmed, or all that went as a whole."""

    uploads: Uploads
    repository: str
    blob: Descriptor
    content: Content
    tell: Callable[[int], None]
    sent: int = 0
    confirmed: bool = True
    """True if the registry has confirmed the sent bytes after every part."""
    _unproven: bool = False
    """True until a part is taken at the position that the registry has stated."""
    _refusals: int = 0
    _refused_at: int = 0

    def must_be_whole(self, error: HubError) -> bool:
        """Record an error of parts, and return True if only the whole blob can avoid it."""
        if isinstance(error, ContentError):
            self.forget()
            # Parts that the registry did not confirm are missing.
            return not self.uploads.whole and not self.confirmed
        return isinstance(error, ChunkError) or self._count_refusal() > _PARTS_REFUSED

    def _count_refusal(self) -> int:
        """Count a refused part, and return the refusals in a row without a new byte."""
        self._refusals = self._refusals + 1 if self.sent <= self._refused_at else 1
        self._refused_at = self.sent
        if self._refusals > 1 or self._unproven:
            self.forget()  # this upload cannot go on: the next attempt begins a new one
        return self._refusals

    def try_mount(self, siblings: Iterable[str]) -> bool:
        """Mount the blob from one of these repositories; return True if that worked."""
        registry = self.uploads.registry
        return not self.sent and any(registry.mount(self.repository, self.blob.digest, it) for it in siblings)

    def send(self) -> None:
        """Send the missing bytes, in one attempt."""
        registry, repository, size = self.uploads.registry, self.repository, self.blob.size
        if not self.uploads.in_parts(self.blob):
            location = registry.start(repository)
            registry.finish(repository, location, self.blob.digest, self._report_progress(self.content(0)), size)
            return
        found = self._resume()
        self._unproven = found is not None
        location, have = found or self._start()
        body = ChunkedStream(self.content(have))
        while have < size:
            part = min(max(self.uploads.chunk, registry.min_part), size - have)
            location, confirmed = registry.append(repository, location, have, body.take(part), part)
            self._save_location(location)
            self._unproven, have, self.confirmed = False, have + part, self.confirmed and confirmed
            self.sent = max(self.sent, have)
            self.tell(have)
        registry.finish(repository, location, self.blob.digest)

    def forget(self) -> None:
        """Forget the address of this upload."""
        self.uploads.sessions.remove(self._key)

    @property
    def _key(self) -> str:
        return f"{self.uploads.registry.host}/{self.repository}@{self.blob.digest}"

    def _resume(self) -> tuple[str, int] | None:
        """Return address and position of an earlier attempt, if the registry knows it."""
        location = self.uploads.sessions.location_of(self._key)
        found = self.uploads.registry.resume_point(self.repository, location) if location else None
        if found is None or found[1] > self.blob.size:
            self.forget()
            return None
        self.sent = max(self.sent, found[1])
        self.uploads.reporter.event("resumed", file=self.blob.digest, bytes=found[1], total=self.blob.size)
        return found

    def _start(self) -> tuple[str, int]:
        location = self.uploads.registry.start(self.repository)
        self._save_location(location)
        return location, 0

    def _save_location(self, location: str) -> None:
        self.uploads.sessions.save(self._key, location)

    def _report_progress(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        gone = 0
        for chunk in chunks:
            yield chunk
            gone += len(chunk)
            self.tell(gone)
        self.sent = gone


class ChunkedStream:
    """A stream that is taken in pieces of given sizes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def take(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes, or fewer at the end."""
        while size > 0:
            chunk = self._rest or next(self._chunks, b"")
            if not chunk:
                return
            piece, self._rest = chunk[:size], chunk[size:]
            size -= len(piece)
            yield piece
