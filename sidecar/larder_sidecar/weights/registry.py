"""Pushes to a registry by its HTTP API (OCI distribution 1.1): blobs that are there are not sent again."""

import json
import re
from collections.abc import Iterable
from urllib.parse import urljoin

import urllib3

from . import proxy
from .errors import DeniedError, HubError, NotFoundError, RedirectError, TransientError
from .image import Descriptor, Document
from .web import CONNECT_SECONDS, USER_AGENT, check_redirect, explained, origin, shown

_THERE = {200, 307, 308}
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


class Registry:
    """One registry at `host[:port]`. `token` is sent as a bearer token to that host alone, and never in clear text.

    `stall_seconds`: silence that ends a request; a registry may take long to put away gigabytes it has just received.
    """

    def __init__(
        self, host: str, *, plain_http: bool = False, token: str | None = None, stall_seconds: float = 300.0
    ) -> None:
        self.host = host
        self._base = f"{'http' if plain_http else 'https'}://{host}/v2/"
        self._token = None if plain_http else token
        self._timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=stall_seconds)
        self._pools: dict[str | None, urllib3.PoolManager] = {}

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools.values():
            pool.clear()

    def has(self, repository: str, digest: str) -> bool:
        """Whether a blob is there. Raises HubError."""
        answer = self._ask("HEAD", f"{self._base}{repository}/blobs/{digest}")
        if answer.status not in {*_THERE, 404}:
            raise self._refusal(answer, repository)
        return answer.status in _THERE

    def push_blob(self, repository: str, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Send a blob as one stream. Raises HubError."""
        started = self._ask("POST", f"{self._base}{repository}/blobs/uploads/")
        if started.status != 202:
            raise self._refusal(started, repository)
        location = self._location(started, repository)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        separator = "&" if "?" in location else "?"
        answer = self._ask("PUT", f"{location}{separator}digest={blob.digest}", headers, chunks)
        if answer.status != 201:
            raise self._refusal(answer, repository)

    def push_manifest(self, repository: str, reference: str, manifest: Document) -> None:
        """Store a manifest or an index under a tag or its digest. Raises HubError."""
        headers = {"Content-Type": manifest.descriptor.media_type}
        answer = self._ask("PUT", f"{self._base}{repository}/manifests/{reference}", headers, manifest.content)
        if answer.status != 201:
            raise self._refusal(answer, repository)

    def _location(self, answer: urllib3.BaseHTTPResponse, repository: str) -> str:
        start = f"{self._base}{repository}/blobs/uploads/"
        try:
            location = urljoin(start, answer.headers.get("Location", ""))
            origin(location)
        except ValueError:
            raise RedirectError(f"{shown(start)} names no place to upload to", "Check the registry's name.") from None
        check_redirect(start, location)
        return location

    def _ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        body: Iterable[bytes] | bytes | None = None,
    ) -> urllib3.BaseHTTPResponse:
        ours = self._token and origin(url) == origin(self._base)
        sent = {"User-Agent": USER_AGENT, **({"Authorization": f"Bearer {self._token}"} if ours else {})}
        with explained(url):
            return self._pool(url).request(
                method,
                url,
                headers=sent | (headers or {}),
                body=body,
                redirect=False,
                retries=False,
                timeout=self._timeout,
            )

    def _pool(self, url: str) -> urllib3.PoolManager:
        way = proxy.proxy_for(url)
        if way not in self._pools:
            self._pools[way] = proxy.connections(way)
        return self._pools[way]

    def _refusal(self, answer: urllib3.BaseHTTPResponse, repository: str) -> HubError:
        where, status = f"{self.host}/{repository}", answer.status
        why = f"the registry answers {status}{_reason(answer.data)}"
        if status in _TRANSIENT:
            return TransientError(f"{where}: {why}")
        if status == 407:
            return proxy.denied(where)
        if status in {401, 403}:
            return DeniedError(
                f"{where}: {why}", "Pass a token that may push there with --token-file, and not by --plain-http."
            )
        if status == 404:
            return NotFoundError(f"{where}: {why}", "Check the registry's name and whether its project exists.")
        return HubError(f"{where}: {why}", "Check that this is a registry, and its limits.")


def _reason(body: bytes) -> str:
    """` (CODE)` as registries explain themselves; nothing where they do not."""
    try:
        code = str(json.loads(body)["errors"][0]["code"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
    return f" ({code})" if re.fullmatch(r"[A-Z_]{1,64}", code) else ""
