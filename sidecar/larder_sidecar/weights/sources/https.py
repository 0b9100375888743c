"""Files of web servers, pinned only by the sha256 and size in the plan."""

import contextlib
from collections.abc import Iterator, Mapping

import urllib3

from ...config.weights import WeightsFile
from ..client.client import Client
from ..client.refusal import read_refusal, reject_web_page
from .source import FileMetadata


class WebServer:
    """Any web server. It gets no credentials."""

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
            if response.status not in {200, 206, 416}:
                raise read_refusal(response, file.url, "the server").error(
                    "Only what anybody may read can be fetched from here.",
                    "Check the catalog entry.",
                    "Check the catalog entry.",
                )
            reject_web_page(response, file)
            yield response
