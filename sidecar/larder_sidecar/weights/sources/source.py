"""The interface of sources, for downloads."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import urllib3

from ...config.weights import WeightsFile

CONTENT = {200, 206, 416}
"""Statuses of an answer to a GET of a file: the rest is a refusal."""


@dataclass(frozen=True)
class FileMetadata:
    """The facts that a source gives about a file before its bytes; None for an unknown one."""

    sha256: str | None
    bytes: int | None


class Source(Protocol):
    """A source of files. Both methods raise HubError."""

    def metadata(self, file: WeightsFile) -> FileMetadata:
        """Return hash and size of a file, after a check that it is the one that the plan pins."""
        ...

    def content(
        self, file: WeightsFile, headers: Mapping[str, str]
    ) -> AbstractContextManager[urllib3.BaseHTTPResponse]:
        """Yield the answer (200, 206 or 416) to a GET of its bytes with `headers`."""
        ...
