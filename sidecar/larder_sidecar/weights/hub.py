"""Asks a hub that speaks Hugging Face's protocol: what a file is (HEAD on its resolve URL), and for its bytes.

The metadata stands on the first answer (X-Repo-Commit, X-Linked-Etag, X-Linked-Size), which for large files is a
redirect to a CDN; so redirects to another host are followed for bytes and never for metadata.
"""

import contextlib
import functools
import ipaddress
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3

from ..config.weights import WeightsFile
from . import proxy
from .deadline import within
from .errors import DeniedError, HubError, NotFoundError, RedirectError, RevisionError, StallError, TransientError

CONNECT_SECONDS = 10.0
MAX_REDIRECTS = 5
USER_AGENT = "larder-sidecar"
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True)
class FileMetadata:
    """What the hub says about a file at a commit. `sha256` is None where the file is not in LFS."""

    commit: str
    sha256: str | None
    bytes: int | None


class Hub:
    """Connections to hubs. `token` goes to the host of a file's own URL and to nobody it redirects to."""

    def __init__(self, token: str | None = None, *, stall_seconds: float = 30.0) -> None:
        self._token = token
        self._timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=stall_seconds)
        self._head_seconds = 2 * stall_seconds
        self._pools: dict[str | None, urllib3.PoolManager] = {}

    def __enter__(self) -> "Hub":
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools.values():
            pool.clear()

    def metadata(self, file: WeightsFile) -> FileMetadata:
        """Commit, hash and size of a file at its pinned revision. Raises HubError, RevisionError among them."""
        found = self.look_up(file)
        if found.commit != file.revision:
            raise RevisionError(
                f"{shown(file.url)} is at commit {found.commit[:64]}, the plan pins {file.revision}",
                "Pin that commit in the catalog entry after checking what changed.",
            )
        return found

    def look_up(self, file: WeightsFile) -> FileMetadata:
        """Commit, hash and size of a file, whichever commit its URL means now. Raises HubError."""
        with self._request("HEAD", file.url, {}, follow_to_others=False) as response:
            if response.status not in {200, *_REDIRECTS}:
                raise refusal(response.status, response.headers, file)
            commit = response.headers.get("X-Repo-Commit")
            if commit is None and response.status in _REDIRECTS:
                elsewhere = shown(_resolved(file.url, response.headers.get("Location", "")))
                raise RedirectError(
                    f"{shown(file.url)} redirects to {elsewhere} without saying what the file is",
                    "A login page or proxy may stand between: check the network, or the endpoint in the settings.",
                )
            if commit is None:
                raise HubError(
                    f"{shown(file.url)} answers without X-Repo-Commit, so it is no hub that we know",
                    "Check the endpoint in the settings.",
                )
            etag = response.headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"').lower()
            size = response.headers.get("X-Linked-Size", "")
            return FileMetadata(
                commit=commit,
                sha256=etag if re.fullmatch(r"[0-9a-f]{64}", etag) else None,
                bytes=whole(size),
            )

    @contextlib.contextmanager
    def content(self, file: WeightsFile, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer (200, 206 or 416) to a GET with `headers`. Raises HubError for every other one."""
        with self._request("GET", file.url, headers, follow_to_others=True) as response:
            if response.status not in {200, 206, 416}:
                raise refusal(response.status, response.headers, file)
            yield response

    @contextlib.contextmanager
    def _request(
        self, method: str, url: str, headers: Mapping[str, str], *, follow_to_others: bool
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        previous = current = url
        for _ in range(MAX_REDIRECTS + 1):
            hop = functools.partial(self._hop, method, previous, current, sent, trusted=origin(current) == origin(url))
            with explained(current):
                try:
                    response = within(self._head_seconds, hop, too_late=_close)
                except TimeoutError:
                    raise StallError(
                        f"{shown(current)}: no answer was complete after {self._head_seconds:g} s"
                    ) from None
            try:
                location = response.headers.get("Location")
                target = _resolved(current, location or "")
                followed = location and (follow_to_others or origin(target) == origin(url))
                if response.status not in _REDIRECTS or not followed:
                    with explained(current):
                        yield response
                    return
            finally:
                response.close()
            previous, current = current, target
        raise RedirectError(f"{shown(url)} redirects more than {MAX_REDIRECTS} times", "Check the endpoint.")

    def _hop(
        self, method: str, previous: str, url: str, headers: Mapping[str, str], *, trusted: bool
    ) -> urllib3.BaseHTTPResponse:
        """One question, from the lookup of the name to the head of the answer."""
        check_redirect(previous, url)
        return self._pool(url).request(
            method,
            url,
            headers={**headers, **(self._authorization(url) if trusted else {})},
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=self._timeout,
        )

    def _authorization(self, url: str) -> dict[str, str]:
        parts = urlsplit(url)
        # In clear text it stays within our own network: a mirror in the cluster may have no TLS.
        private = parts.scheme == "https" or _inside(parts.hostname or "")
        return {"Authorization": f"Bearer {self._token}"} if self._token and private else {}

    def _pool(self, url: str) -> urllib3.PoolManager:
        way = proxy.proxy_for(url)
        if way not in self._pools:
            self._pools[way] = proxy.connections(way)
        return self._pools[way]


def _close(response: urllib3.BaseHTTPResponse) -> None:
    response.close()


def whole(text: str) -> int | None:
    """The number in a header; None where it is none, or has more digits than any size."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def shown(url: str) -> str:
    """The URL for a message: without query and credentials, for a CDN's query is a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"[:300]


def check_redirect(source: str, target: str, *, inside: Callable[[str], bool] | None = None) -> None:
    """Raise RedirectError where following would weaken TLS or let a hub on the internet point at our own network."""
    inside = inside or _inside
    before, after = urlsplit(source), urlsplit(target)
    if after.scheme not in {"http", "https"} or (before.scheme == "https" and after.scheme == "http"):
        reason = f"{shown(source)} redirects to {shown(target)}: not over TLS"
    elif after.hostname != before.hostname and inside(after.hostname or "") and not inside(before.hostname or ""):
        reason = f"{shown(source)} redirects into the private network, to {after.hostname}"
    else:
        return
    raise RedirectError(reason, "Not followed. Check the endpoint and what stands between it and the cluster.")


def refusal(status: int, headers: Mapping[str, str], file: WeightsFile) -> HubError:
    """The error for a status that is not content. Codes: X-Error-Code of the hub's API."""
    code, where = headers.get("X-Error-Code", ""), shown(file.url)
    if status in _TRANSIENT:
        after = headers.get("Retry-After", "")
        return TransientError(f"{where}: the hub answers {status}", wait=min(60, whole(after) or 0))
    if status == 407:
        return proxy.denied(where)
    if status == 403 and code == "GatedRepo":
        return DeniedError(
            f"{where}: the repository is gated (403)",
            "Accept its terms on the hub's page and pass a token of that account with --token-file or HF_TOKEN.",
        )
    if status in {401, 403}:
        return DeniedError(
            f"{where}: access denied ({status}); the repository is private or does not exist",
            "Check the repository's name, or pass a token that may read it with --token-file or HF_TOKEN.",
        )
    missing = {
        "RepoNotFound": ("there is no such repository", "Check `hub.repo` of the catalog entry."),
        "RevisionNotFound": (f"the repository has no revision {file.revision}", "Check `hub.revision`."),
        "EntryNotFound": (f"the repository has no file {file.path}", "Check `hub.files`; names are case-sensitive."),
    }
    if status == 404:
        reason, remedy = missing.get(code, ("not found", "Check repository, revision and file of the catalog entry."))
        return NotFoundError(f"{where}: {reason} (404)", remedy)
    return HubError(f"{where}: the hub answers {status}", "Check the endpoint in the settings.")


@contextlib.contextmanager
def explained(url: str) -> Iterator[None]:
    """urllib3's exceptions in our words; they may quote a URL with its signature, so none is passed on."""
    try:
        yield
    except (urllib3.exceptions.ReadTimeoutError, TimeoutError):
        raise StallError(f"{shown(url)}: no bytes came for the stall time") from None
    except urllib3.exceptions.SSLError as error:
        raise HubError(
            f"{shown(url)}: TLS failed: {type(error.args[0]).__name__ if error.args else 'SSLError'}",
            "Check the certificate; a private CA goes into SSL_CERT_FILE.",
        ) from None
    except urllib3.exceptions.ProxyError as error:
        raise proxy.refusal(shown(url), error.original_error) from None
    except (urllib3.exceptions.NameResolutionError, urllib3.exceptions.NewConnectionError) as error:
        raise TransientError(
            f"{shown(url)}: cannot connect ({type(error).__name__})", "Check DNS, network policy and proxy settings."
        ) from None
    except urllib3.exceptions.HTTPError as error:
        raise TransientError(f"{shown(url)}: connection lost ({type(error).__name__})") from None


def _resolved(url: str, location: str) -> str:
    """Where a Location header points. Raises RedirectError where it is no URL."""
    try:
        target = urljoin(url, location)
        origin(target)
    except ValueError:
        raise RedirectError(f"{shown(url)} redirects to something that is no URL", "Check the endpoint.") from None
    return target


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what credentials belong to."""
    parts: SplitResult = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _inside(host: str) -> bool:
    """Whether a host's addresses are not all on the public internet; an unknown host is not inside."""
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):  # UnicodeError: no name at all, its labels are too long or empty
        return False
    return any(not ipaddress.ip_address(str(address).partition("%")[0]).is_global for address in addresses)
