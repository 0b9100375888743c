"""Brings the files that a store lacks, several at a time: small ones wait for no round trip of others.

The first error ends them all. What had come of each is kept, and resumed by the next run.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import urllib3

from ...config.weights import FIRST_PULL, WeightsFile
from ..errors import GgufError, HubError
from ..progress import Reporter
from ..retry import Patience
from ..sources.source import FileMetadata, Source
from ..store.disk import PARTS
from ..store.gguf import check_gguf
from ..store.lease import Lease
from ..store.ollama_layout import blob_path
from .download import CHUNK, Download
from .hosts import Hosts
from .partial import Part
from .workers import Crew

AT_ONCE = 4
"""Files. As many as one host gets connections (hosts.py): more would only wait for each other there."""


class Files:
    """A context manager: while it is open the files come, each content one of them.

    `look` tells whether the store has a good blob of that sha256 and size, `name` what errors call a file, and `placed`
    is told of each blob that comes into the store.
    """

    def __init__(
        self,
        missing: Iterable[WeightsFile],
        root: Path,
        source: Source,
        *,
        patience: Patience,
        reporter: Reporter,
        lease: Lease,
        look: Callable[[str, int], bool],
        name: Callable[[WeightsFile], str],
        placed: Callable[[str], None],
    ) -> None:
        self._root, self._source, self._patience = root, source, patience
        self._reporter, self._lease, self._look = reporter, lease, look
        self._name, self._placed = name, placed
        self._queue = deque(missing)
        self._at_once = min(AT_ONCE, len(self._queue))
        self._crew, self._hosts = Crew(self._work), Hosts()
        self._next, self._looking = threading.Lock(), threading.Lock()
        self._here: dict[Path, str] = {}
        self._downloads: list[Download] = []
        self.reused = 0

    def __enter__(self) -> Self:
        self._reporter.after = sum(file.bytes for file in self._queue)
        self._crew.grow(self._at_once)
        return self

    def __exit__(self, *_: object) -> None:
        self._crew.disband()

    @property
    def fetched(self) -> int:
        """Bytes off the wire."""
        return sum(download.fetched for download in self._downloads)

    def wait(self, file: WeightsFile) -> str:
        """The sha256 under which it is in the store, when it is. Raises the first error of any file."""
        while (sha256 := self._here.get(part_path(self._root, file))) is None:
            self._crew.complain()
            self._crew.wait()
        return sha256

    def _work(self) -> None:
        while (file := self._take()) is not None:
            try:
                self._here[part_path(self._root, file)] = self._bring(file)
            except HubError as error:
                error.about(self._name(file))
                raise

    def _take(self) -> WeightsFile | None:
        with self._next:
            if not self._queue:
                return None
            file = self._queue.popleft()
            self._reporter.after -= file.bytes
            return file

    def _go_on(self) -> None:
        self._crew.check()
        self._lease.check()

    def _bring(self, file: WeightsFile) -> str:
        source = _Cuttable(self._source, self._crew)
        host = self._hosts.of(file.url)
        download = Download(
            source,
            file,
            host,
            self._patience,
            self._reporter,
            self._go_on,
            # Together they hold no more than one that comes alone.
            chunk=CHUNK // self._at_once,
        )
        metadata = download.metadata()
        expected = metadata.sha256 if file.sha256 == FIRST_PULL else file.sha256
        if expected and self._is_here(expected, file.bytes):
            return expected
        self._downloads.append(download)
        with Part(part_path(self._root, file), file.bytes) as part:
            self._reporter.event("fetching", file=file.path, bytes=file.bytes, resumed_at=part.held)
            download.into(part, expected)
            sha256 = part.sha256()
            try:
                check_gguf(part.path, self._name(file))
            except GgufError:
                part.discard()
                raise
            self._crew.check()
            self._lease.confirm()
            part.place(self._root / blob_path(sha256))
        self._placed(sha256)
        self._reporter.event("verified", file=file.path, sha256=sha256, recorded=file.sha256 == FIRST_PULL)
        return sha256

    def _is_here(self, sha256: str, size: int) -> bool:
        """Whether a content is in the store that only its source could name."""
        with self._looking:
            if not self._look(sha256, size):
                return False
            self.reused += size
            return True


class _Cuttable:
    """A source whose answers end when the crew does."""

    def __init__(self, source: Source, crew: Crew) -> None:
        self._source, self._crew = source, crew

    def metadata(self, file: WeightsFile) -> FileMetadata:
        return self._source.metadata(file)

    @contextmanager
    def content(self, file: WeightsFile, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        with self._source.content(file, headers) as response, self._crew.reading(response):
            yield response


def part_path(root: Path, file: WeightsFile) -> Path:
    """Where the bytes of a file are until it is complete: its content's place, so that no two files share one."""
    name = file.sha256
    if name == FIRST_PULL:
        name = f"first-{hashlib.sha256(f'{file.revision} {file.url}'.encode()).hexdigest()[:32]}"
    return root / PARTS / name
