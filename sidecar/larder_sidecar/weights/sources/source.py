"""What a download asks of wherever a file comes from."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import urllib3

from ...config.weights import WeightsFile


@dataclass(frozen=True)
class FileMetadata:
    """What a source says about a file before its bytes; None for what it does not say."""

    sha256: str | None
    bytes: int | None


class Source(Protocol):
    """Where files come from. Both raise HubError."""

    def metadata(self, file: WeightsFile) -> FileMetadata:
        """Hash and size of a file, which is the one that the plan pins."""
        ...

    def content(
        self, file: WeightsFile, headers: Mapping[str, str]
    ) -> AbstractContextManager[urllib3.BaseHTTPResponse]:
        """The answer (200, 206 or 416) to a GET of its bytes with `headers`."""
        ...
