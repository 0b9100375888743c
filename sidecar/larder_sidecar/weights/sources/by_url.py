"""The sources of a plan: a file's URL, and whether it is pinned to a commit, select one."""

import contextlib
from collections.abc import Mapping
from typing import Self

import urllib3

from ...config.weights import WeightsFile
from ..client.client import Client
from .artifact import Artifact
from .https import WebServer
from .hub import Hub
from .source import FileMetadata, Source


class Sources:
    """All sources. `token` is for the hub."""

    def __init__(self, token: str | None = None, *, stall_seconds: float = 30.0) -> None:
        client = Client(stall_seconds=stall_seconds, head_seconds=2 * stall_seconds)
        self._hub, self._plain, self._artifact = (
            Hub(token, stall_seconds=stall_seconds),
            WebServer(client),
            Artifact(client),
        )
        self._open = contextlib.ExitStack()
        self._open.enter_context(client)
        self._open.enter_context(self._hub)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def metadata(self, file: WeightsFile) -> FileMetadata:
        """Return the metadata of a file from its source. Raises HubError."""
        return self._source_of(file).metadata(file)

    def content(
        self, file: WeightsFile, headers: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[urllib3.BaseHTTPResponse]:
        """Yield the answer with the bytes of a file from its source. Raises HubError."""
        return self._source_of(file).content(file, headers)

    def _source_of(self, file: WeightsFile) -> Source:
        if file.url.startswith("oci"):
            return self._artifact
        return self._plain if file.revision is None else self._hub
