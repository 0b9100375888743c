"""The sources of a plan: a file's URL, and its pin to a commit, select one."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Self

import urllib3

from ...config.weights import WeightsFile
from ..client.client import Client
from ..client.refusal import read_refusal, reject_web_page
from .artifact import Artifact
from .hub import Hub
from .source import CONTENT, FileMetadata, Source


class Sources:
    """All sources, which share the connections of one client. `token` is for the hub."""

    def __init__(self, token: str | None = None, *, stall_seconds: float = 30.0) -> None:
        self._hub = Hub(token, stall_seconds=stall_seconds)
        self._web, self._artifact = WebServer(self._hub.client), Artifact(self._hub.client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.client.close()

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
        return self._web if file.revision is None else self._hub


class WebServer:
    """Any web server, whose files are pinned only by the sha256 and size in the plan. It gets no credentials."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def metadata(self, file: WeightsFile) -> FileMetadata:
        """Return empty metadata: the plan knows size and sha256, and many servers answer HEAD wrongly."""
        del file
        return FileMetadata(sha256=None, bytes=None)

    @contextlib.contextmanager
    def content(self, file: WeightsFile, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """Yield the answer to a GET with `headers`. Raises HubError."""
        with self._client.ask("GET", file.url, headers) as response:
            if response.status not in CONTENT:
                raise read_refusal(response, file.url, "the server").error(
                    "Make the file public: no credentials are sent to web servers."
                )
            reject_web_page(response, file)
            yield response
