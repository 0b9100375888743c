"""Questions over HTTP as every source asks them: through proxies, over redirects that can be trusted, with an end.

Its errors are in our words, and no URL in them has a query: a CDN's query is a signature.
"""

import contextlib
import functools
import ipaddress
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Self
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3

from . import proxy
from .deadline import within
from .errors import BusyError, DeniedError, HubError, NotFoundError, RedirectError, StallError, TransientError

CONNECT_SECONDS = 10.0
MAX_REDIRECTS = 5
USER_AGENT = "larder-sidecar"
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
REDIRECTS = {301, 302, 303, 307, 308}
_BUSY = {429, 503}
Credentials = Callable[[str], Mapping[str, str]]
"""The headers that open a URL."""


class Web:
    """Connections, of which many threads may use one each. `stall_seconds` of silence end an answer."""

    def __init__(self, *, stall_seconds: float = 30.0) -> None:
        self._timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=stall_seconds)
        self._head_seconds = 2 * stall_seconds
        self._pools: dict[str | None, urllib3.PoolManager] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools.values():
            pool.clear()

    @contextlib.contextmanager
    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        follow_to_others: bool,
        credentials: Credentials | None = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a question; its `url` is the one that answered, after redirects.

        `credentials` are the headers for a URL on the host of the first one alone.

        Raises HubError.
        """
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        previous = current = url
        for _ in range(MAX_REDIRECTS + 1):
            ours = credentials if credentials and origin(current) == origin(url) else _nothing
            hop = functools.partial(self._hop, method, previous, current, sent, ours)
            with explained(current):
                try:
                    response = within(self._head_seconds, hop, too_late=_close)
                except TimeoutError:
                    raise StallError(
                        f"{shown(current)}: no answer was complete after {self._head_seconds:g} s"
                    ) from None
            response.url = current  # urllib3 keeps the path alone
            try:
                location = response.headers.get("Location")
                target = resolved(current, location or "")
                followed = location and (follow_to_others or origin(target) == origin(url))
                if response.status not in REDIRECTS or not followed:
                    with explained(current):
                        yield response
                    return
            finally:
                response.close()
            previous, current = current, target
        raise RedirectError(f"{shown(url)} redirects more than {MAX_REDIRECTS} times", "Check the endpoint.")

    def _hop(
        self, method: str, previous: str, url: str, headers: Mapping[str, str], credentials: Credentials
    ) -> urllib3.BaseHTTPResponse:
        """One question, from the lookup of the name to the head of the answer."""
        check_redirect(previous, url)
        return self._pool(url).request(
            method,
            url,
            headers={**headers, **credentials(url)},
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=self._timeout,
        )

    def _pool(self, url: str) -> urllib3.PoolManager:
        way = proxy.proxy_for(url)
        return self._pools.get(way) or self._pools.setdefault(way, proxy.connections(way))


def _nothing(_: str) -> Mapping[str, str]:
    return {}


def _close(response: urllib3.BaseHTTPResponse) -> None:
    response.close()


def refused(status: int, headers: Mapping[str, str], where: str, who: str) -> HubError:
    """The error for a status that is not content, where a source has no better words. `who` is as in `the hub`."""
    if status in _TRANSIENT:
        kind = BusyError if status in _BUSY else TransientError
        return kind(f"{where}: {who} answers {status}", wait=min(60, whole(headers.get("Retry-After", "")) or 0))
    if status == 407:
        return proxy.denied(where)
    if status in {401, 403}:
        return DeniedError(f"{where}: access denied ({status})", "Only what anybody may read can be fetched from here.")
    if status == 404:
        return NotFoundError(f"{where}: not found (404)", "Check the catalog entry.")
    return HubError(f"{where}: {who} answers {status}", "Check the catalog entry.")


def whole(text: str) -> int | None:
    """The number in a header; None where it is none, or has more digits than any size."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def shown(url: str) -> str:
    """The URL for a message: without query and credentials, for a CDN's query is a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"[:300]


def check_redirect(source: str, target: str, *, inside: Callable[[str], bool] | None = None) -> None:
    """Raise RedirectError where following would weaken TLS or let a hub on the internet point at our own network."""
    inside = inside or is_inside
    before, after = urlsplit(source), urlsplit(target)
    if after.scheme not in {"http", "https"} or (before.scheme == "https" and after.scheme == "http"):
        reason = f"{shown(source)} redirects to {shown(target)}: not over TLS"
    elif after.hostname != before.hostname and inside(after.hostname or "") and not inside(before.hostname or ""):
        reason = f"{shown(source)} redirects into the private network, to {after.hostname}"
    else:
        return
    raise RedirectError(reason, "Not followed. Check the endpoint and what stands between it and the cluster.")


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


def resolved(url: str, location: str) -> str:
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


def is_inside(host: str) -> bool:
    """Whether a host's addresses are not all on the public internet; an unknown host is not inside."""
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):  # UnicodeError: no name at all, its labels are too long or empty
        return False
    return any(not ipaddress.ip_address(str(address).partition("%")[0]).is_global for address in addresses)
