"""Brings one blob into a repository: what is there is not sent, what was cut off goes on where it stopped.

A blob goes in parts, each a request of its own, so that a lost connection costs one of them and proxies that limit
requests let them pass. Where an upload stands is remembered in the store until the blob is there: after a kill -9 the
next run asks the registry how far it got. A registry that has forgotten, or takes no parts, gets the whole again.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from ..errors import ChunkError, ContentError, HubError, TransientError
from ..progress import Reporter
from ..retry import Patience, Tries, window
from .layer import Descriptor
from .registry import PartError, Registry
from .upload_state import Sessions

T = TypeVar("T")
CHUNK = 64 << 20
"""Bytes of a part: below the 100 MB at which hosted proxies cut requests, and few enough for gigabytes."""
_PARTS_REFUSED = 2
"""Refusals of parts, in a row, before a blob goes as a whole: one as a connection was lost, one of a new upload."""
Content = Callable[[int], Iterator[bytes]]
"""The bytes of a blob from a position. Raises FetchError."""


@dataclass
class Uploads:
    """Uploads to one registry. `chunk`: bytes of a part."""

    registry: Registry
    sessions: Sessions
    reporter: Reporter = field(default_factory=Reporter)
    patience: Patience = field(default_factory=Patience)
    chunk: int = CHUNK
    _whole: bool = False
    """Has the registry refused a part?"""

    def push(self, repository: str, blob: Descriptor, content: Content, siblings: Iterable[str] = ()) -> int:
        """Send a blob unless it is there, or in a sibling repository. Raises FetchError.

        Returns the bytes of it that were sent; what an earlier run sent of it counts too.
        """
        transfer = self.reporter.transfer(blob.digest, total=blob.size, start=0)
        upload = _Upload(self, repository, blob, content, transfer.at)
        tries = Tries(self.patience)
        while True:
            try:
                if self.registry.has(repository, blob.digest) or upload.mounted(siblings):
                    upload.forget()
                    return blob.size if upload.sent else 0
                upload.send()
            except ChunkError as error:
                self._send_whole(error)
            except ContentError as error:
                upload.forget()
                if self._whole or upload.confirmed:
                    raise
                self._send_whole(error)  # the parts that it did not confirm are missing
            except PartError as error:
                if upload.refused() > _PARTS_REFUSED:
                    self._send_whole(error)
                else:
                    _pause(tries, error, upload.sent, self.reporter)
            except TransientError as error:
                _pause(tries, error, upload.sent, self.reporter)
            else:
                upload.forget()
                return blob.size

    def _send_whole(self, error: HubError) -> None:
        self._whole = True
        self.reporter.event("whole", reason=error.reason)

    def in_parts(self, blob: Descriptor) -> bool:
        """Does a blob go in parts?"""
        return blob.size > max(self.chunk, self.registry.least) and not self._whole


def patiently(attempt: Callable[[], T], patience: Patience, reporter: Reporter) -> T:
    """The outcome of something small, tried as often as patience has it. Raises FetchError."""
    tries = Tries(patience)
    while True:
        try:
            return attempt()
        except TransientError as error:
            _pause(tries, error, 0, reporter)


def _pause(tries: Tries, error: TransientError, progress: int, reporter: Reporter) -> None:
    """Wait as long as `error` needs. Raises it where it is one too many."""
    wait = tries.failed(error, began=time.monotonic(), progress=progress) or 0.0
    reporter.event("waiting" if window(error) else "retry", reason=error.reason, wait_seconds=round(wait, 1))
    time.sleep(wait)


@dataclass
class _Upload:
    """One blob on its way. `sent`: bytes that the registry has confirmed at the most, or all that went as a whole."""

    uploads: Uploads
    repository: str
    blob: Descriptor
    content: Content
    tell: Callable[[int], None]
    sent: int = 0
    confirmed: bool = True
    """The registry has said of every part that it has as many bytes as were sent."""
    _unproven: bool = False
    """No part has been taken since the registry said how far it got."""
    _refusals: int = 0
    _refused_at: int = 0

    def refused(self) -> int:
        """Note that a part was refused; how often that has happened without a byte between."""
        self._refusals = self._refusals + 1 if self.sent <= self._refused_at else 1
        self._refused_at = self.sent
        if self._refusals > 1 or self._unproven:
            self.forget()  # what the registry says of this upload leads nowhere: the next attempt begins anew
        return self._refusals

    def mounted(self, siblings: Iterable[str]) -> bool:
        """Was the blob taken over from one of these repositories?"""
        registry = self.uploads.registry
        return not self.sent and any(registry.mount(self.repository, self.blob.digest, it) for it in siblings)

    def send(self) -> None:
        """Send what is missing, once."""
        registry, repository, size = self.uploads.registry, self.repository, self.blob.size
        if not self.uploads.in_parts(self.blob):
            location = registry.start(repository)
            registry.finish(repository, location, self.blob.digest, self._told(self.content(0)), size)
            return
        found = self._resumed()
        self._unproven = found is not None
        location, have = found or self._started()
        body = Pieces(self.content(have))
        while have < size:
            part = min(max(self.uploads.chunk, registry.least), size - have)
            location, confirmed = registry.append(repository, location, have, body.take(part), part)
            self._keep(location)
            self._unproven, have, self.confirmed = False, have + part, self.confirmed and confirmed
            self.sent = max(self.sent, have)
            self.tell(have)
        registry.finish(repository, location, self.blob.digest)

    def forget(self) -> None:
        """No more of this upload."""
        self.uploads.sessions.drop(self._key)

    @property
    def _key(self) -> str:
        return f"{self.uploads.registry.host}/{self.repository}@{self.blob.digest}"

    def _resumed(self) -> tuple[str, int] | None:
        """Where an earlier attempt stopped, if the registry knows of it."""
        location = self.uploads.sessions.of(self._key)
        found = self.uploads.registry.arrived(self.repository, location) if location else None
        if found is None or found[1] > self.blob.size:
            self.forget()
            return None
        self.sent = max(self.sent, found[1])
        self.uploads.reporter.event("resumed", file=self.blob.digest, bytes=found[1], total=self.blob.size)
        return found

    def _started(self) -> tuple[str, int]:
        location = self.uploads.registry.start(self.repository)
        self._keep(location)
        return location, 0

    def _keep(self, location: str) -> None:
        self.uploads.sessions.keep(self._key, location)

    def _told(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        gone = 0
        for chunk in chunks:
            yield chunk
            gone += len(chunk)
            self.tell(gone)
        self.sent = gone


class Pieces:
    """A stream that is taken in pieces of given sizes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def take(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, or what is left of them."""
        while size > 0:
            chunk = self._rest or next(self._chunks, b"")
            if not chunk:
                return
            piece, self._rest = chunk[:size], chunk[size:]
            size -= len(piece)
            yield piece
