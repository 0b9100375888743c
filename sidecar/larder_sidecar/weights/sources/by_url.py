"""Which source a file of a plan comes from: what its URL says, and whether it is pinned to a commit."""

import contextlib
from collections.abc import Mapping
from typing import Self

import urllib3

from ...config.weights import WeightsFile
from ..client.client import Client
from .artifact import Artifact
from .https import Plain
from .hub import Hub
from .source import FileMetadata, Source


class Sources:
    """All of them. `token` is the hub's."""

    def __init__(self, token: str | None = None, *, stall_seconds: float = 30.0) -> None:
        client = Client(stall_seconds=stall_seconds, head_seconds=2 * stall_seconds)
        self._hub, self._plain, self._artifact = (
            Hub(token, stall_seconds=stall_seconds),
            Plain(client),
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
        """What the file's source says about it. Raises HubError."""
        return self._of(file).metadata(file)

    def content(
        self, file: WeightsFile, headers: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[urllib3.BaseHTTPResponse]:
        """Its bytes, from its source. Raises HubError."""
        return self._of(file).content(file, headers)

    def _of(self, file: WeightsFile) -> Source:
        if file.url.startswith("oci"):
            return self._artifact
        return self._plain if file.revision is None else self._hub
