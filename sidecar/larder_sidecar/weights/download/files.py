"""Parallel downloads of the files that a store lacks: small files do not wait for round trips of others.

The first error ends all. Their parts stay, and the next run resumes them.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from ...config.weights import FIRST_PULL, WeightsFile
from ..errors import GgufError, HubError
from ..progress import Reporter
from ..retry import Patience
from ..sources.source import Source
from ..store.disk import PARTS
from ..store.gguf import check_gguf
from ..store.lease import Lease
from ..store.ollama_layout import blob_path
from .download import CHUNK, Download
from .hosts import Hosts
from .partial import Part
from .workers import Workers

MAX_PARALLEL = 4
"""Files at a time: the connections that one host gets (hosts.py); more would only wait."""


class Files:
    """A context manager that downloads files of different contents while it is open.

    `has_blob` returns True if the store has a good blob of a sha256 and size, `name_of` returns the name of a file in
    errors, and `on_placed` is called with the sha256 of each new blob.
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
        has_blob: Callable[[str, int], bool],
        name_of: Callable[[WeightsFile], str],
        on_placed: Callable[[str], None],
    ) -> None:
        self._root, self._source, self._patience = root, source, patience
        self._reporter, self._lease, self._has_blob = reporter, lease, has_blob
        self._name_of, self._on_placed = name_of, on_placed
        self._queue = deque(missing)
        self._at_once = min(MAX_PARALLEL, len(self._queue))
        self._workers, self._hosts = Workers(self._work), Hosts()
        self._next, self._looking = threading.Lock(), threading.Lock()
        self._here: dict[Path, str] = {}
        self._downloads: list[Download] = []
        self.reused = 0

    def __enter__(self) -> Self:
        self._reporter.queued = sum(file.bytes for file in self._queue)
        self._workers.start(self._at_once)
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.stop()

    @property
    def fetched(self) -> int:
        """Return the received bytes."""
        return sum(download.fetched for download in self._downloads)

    def wait(self, file: WeightsFile) -> str:
        """Wait until a file is in the store, and return its sha256. Raises the first error of any file."""
        while (sha256 := self._here.get(part_path(self._root, file))) is None:
            self._workers.raise_error()
            self._workers.wait()
        return sha256

    def _work(self) -> None:
        while (file := self._take()) is not None:
            try:
                self._here[part_path(self._root, file)] = self._fetch_file(file)
            except HubError as error:
                error.add_subject(self._name_of(file))
                raise

    def _take(self) -> WeightsFile | None:
        with self._next:
            if not self._queue:
                return None
            file = self._queue.popleft()
            self._reporter.queued -= file.bytes
            return file

    def _check_stopped(self) -> None:
        self._workers.check()
        self._lease.check()

    def _fetch_file(self, file: WeightsFile) -> str:
        download = Download(
            self._source,
            file,
            self._hosts.for_url(file.url),
            self._patience,
            self._reporter,
            self._check_stopped,
            reading=self._workers.register,
            chunk=CHUNK // self._at_once,  # together they use no more memory than a single file
        )
        metadata = download.metadata()
        expected = metadata.sha256 if file.sha256 == FIRST_PULL else file.sha256
        if expected and self._is_stored(expected, file.bytes):
            return expected
        self._downloads.append(download)
        with Part(part_path(self._root, file), file.bytes) as part:
            self._reporter.event("fetching", file=file.path, bytes=file.bytes, resumed_at=part.held)
            download.fetch_into(part, expected)
            sha256 = part.sha256()
            try:
                check_gguf(part.path, self._name_of(file))
            except GgufError:
                part.discard()
                raise
            self._workers.check()
            self._lease.confirm()
            part.move_to(self._root / blob_path(sha256))
        self._on_placed(sha256)
        self._reporter.event("verified", file=file.path, sha256=sha256, recorded=file.sha256 == FIRST_PULL)
        return sha256

    def _is_stored(self, sha256: str, size: int) -> bool:
        """Return True if the store has a content whose hash only the source knew."""
        with self._looking:
            if not self._has_blob(sha256, size):
                return False
            self.reused += size
            return True


def part_path(root: Path, file: WeightsFile) -> Path:
    """Return the path of a file's part. It is named by the content, so that different files have different parts."""
    name = file.sha256
    if name == FIRST_PULL:
        name = f"first-{hashlib.sha256(f'{file.revision} {file.url}'.encode()).hexdigest()[:32]}"
    return root / PARTS / name
