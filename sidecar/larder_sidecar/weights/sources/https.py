"""Files at a plain URL, pinned by nothing but the sha256 and size that the plan knows."""

import contextlib
from collections.abc import Iterator, Mapping

import urllib3

from ...config.weights import WeightsFile
from ..client.client import Client
from ..client.refusal import not_a_page, refusal
from .source import FileMetadata


class Plain:
    """Any web server. No credentials go there."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def metadata(self, file: WeightsFile) -> FileMetadata:
        """Nothing: the plan knows size and sha256. Many servers answer HEAD with an error, or with another size."""
        del file
        return FileMetadata(sha256=None, bytes=None)

    @contextlib.contextmanager
    def content(self, file: WeightsFile, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a GET with `headers`. Raises HubError."""
        with self._client.ask("GET", file.url, headers) as response:
            if response.status not in {200, 206, 416}:
                raise refusal(response, file.url, "the server").error(
                    "Only what anybody may read can be fetched from here.",
                    "Check the catalog entry.",
                    "Check the catalog entry.",
                )
            not_a_page(response, file)
            yield response
