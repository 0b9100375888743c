"""Files at a plain URL, pinned by nothing but the sha256 and size that the plan knows."""

import contextlib
from collections.abc import Iterator, Mapping

import urllib3

from ..config.weights import WeightsFile
from .address import shown
from .source import FileMetadata
from .web import Web, refused, whole

_NO_HEAD = {403, 405, 501}
"""Of servers that answer GET and not HEAD, among them signed URLs, whose signature names the method."""


class Plain:
    """Any web server. No credentials go there."""

    def __init__(self, web: Web) -> None:
        self._web = web

    def metadata(self, file: WeightsFile) -> FileMetadata:
        """The size, where the server tells it before it is asked for the bytes. Raises HubError."""
        with self._web.ask("HEAD", file.url, {}, follow_to_others=True) as response:
            if response.status in _NO_HEAD:
                return FileMetadata(sha256=None, bytes=None)
            if response.status != 200:
                raise refused(response.status, response.headers, shown(file.url), "the server")
            return FileMetadata(sha256=None, bytes=whole(response.headers.get("Content-Length", "")))

    @contextlib.contextmanager
    def content(self, file: WeightsFile, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a GET with `headers`. Raises HubError."""
        with self._web.ask("GET", file.url, headers, follow_to_others=True) as response:
            if response.status not in {200, 206, 416}:
                raise refused(response.status, response.headers, shown(file.url), "the server")
            yield response
