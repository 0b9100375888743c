"""Questions over HTTP as every source asks them: through proxies, over redirects that can be trusted, with an end.

Its errors are in our words, and no URL in them has a query: a CDN's query is a signature.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Self

import urllib3

from ..errors import HubError, RedirectError, StallError, TransientError
from . import proxy
from .address import Address, is_elsewhere, named, redirected, shown
from .connections import Connections, OutOfReachError
from .deadline import within
from .reach import Reach

MAX_REDIRECTS = 5
REDIRECTS = {301, 302, 303, 307, 308}


class LostError(TransientError):
    """The connection ended before the answer did."""


class Web:
    """Questions, of which many threads may ask one each. `stall_seconds` of silence end an answer."""

    def __init__(self, *, stall_seconds: float = 30.0) -> None:
        self._connections, self._head_seconds = Connections(stall_seconds), 2 * stall_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connections.close()

    @contextlib.contextmanager
    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        follow_to_others: bool,
        credentials: Mapping[str, str] | None = None,
        sender: str | None = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a question; its `url` is the one that answered, after redirects.

        `credentials` are headers for the host of `url` alone, also where it goes over to TLS; see `_hop`.

        `sender` is the URL whose answer named this one. Raises HubError.
        """
        first = current = named(url)
        previous = None if sender is None else named(sender)
        sent = {"Accept-Encoding": "identity", **headers}
        for _ in range(MAX_REDIRECTS + 1):
            ours = credentials if credentials and not is_elsewhere(first, current) else {}
            hop = functools.partial(self._hop, method, previous, current, sent, ours)
            try:
                with explained(current.url):
                    response = self._answered(hop, current)
            except HubError as error:
                if current.origin != first.origin:
                    error.reason += f"; {shown(first.url)}, which redirects there, had answered"
                raise
            response.url = current.url  # urllib3 keeps the path alone
            try:
                target = _followed(response, current, first if not follow_to_others else None)
                if target is None:
                    with explained(current.url):
                        yield response
                    return
            finally:
                response.close()
            previous, current = current, target
        raise RedirectError(f"{shown(url)} redirects more than {MAX_REDIRECTS} times", "Check the endpoint.")

    def _answered(self, hop: Callable[[], urllib3.BaseHTTPResponse], address: Address) -> urllib3.BaseHTTPResponse:
        try:
            return within(self._head_seconds, hop, too_late=_close)
        except TimeoutError:
            why = f"{shown(address.url)}: no answer was complete after {self._head_seconds:g} s"
            raise StallError(why) from None

    def _hop(
        self,
        method: str,
        sender: Address | None,
        address: Address,
        headers: Mapping[str, str],
        credentials: Mapping[str, str],
    ) -> urllib3.BaseHTTPResponse:
        """One question, from the lookup of the name to the head of the answer.

        In clear text, credentials stay within our own network: a mirror in the cluster may have no TLS.
        """
        reach = Reach.ANYWHERE if sender is None else self._connections.reach(sender, address)
        if credentials and address.scheme == "http":
            if reach is Reach.ANYWHERE:
                with contextlib.suppress(OutOfReachError):
                    return self._connections.request(method, address, {**headers, **credentials}, Reach.INSIDE)
            credentials = {}
        try:
            return self._connections.request(method, address, {**headers, **credentials}, reach)
        except OutOfReachError:
            raise into_our_network(sender, address) from None


def _followed(response: urllib3.BaseHTTPResponse, current: Address, only: Address | None) -> Address | None:
    """Return the address that a redirect leads to, if it stays with the host of `only`. Raises RedirectError."""
    location = response.headers.get("Location")
    if response.status not in REDIRECTS or not location:
        return None
    target = redirected(current, location)
    return None if only is not None and is_elsewhere(only, target) else target


def into_our_network(sender: Address | None, target: Address) -> RedirectError:
    """The error for a host on the internet that sends us into our own network, or whose name leads there by now."""
    reason = f"{shown(target.url)}: {target.host} was on the internet and is in the private network now"
    if sender is not None:
        reason = f"{shown(sender.url)} redirects into the private network, to {target.host}"
    return RedirectError(reason, "Not followed. Check the endpoint and what stands between it and the cluster.")


def _close(response: urllib3.BaseHTTPResponse) -> None:
    response.close()


@contextlib.contextmanager
def explained(url: str) -> Iterator[None]:
    """urllib3's exceptions in our words; they may quote a URL with its signature, so none is passed on."""
    try:
        yield
    except (urllib3.exceptions.ReadTimeoutError, TimeoutError):
        raise StallError(f"{shown(url)}: no bytes came for the stall time") from None
    except urllib3.exceptions.SSLError as error:
        raise HubError(
            f"{shown(url)}: TLS failed: {_tls_problem(error.args[0] if error.args else error)}",
            "Check the certificate; a private CA goes into SSL_CERT_FILE.",
        ) from None
    except urllib3.exceptions.ProxyError as error:
        raise proxy.refusal(shown(url), error.original_error) from None
    except (urllib3.exceptions.NameResolutionError, urllib3.exceptions.NewConnectionError) as error:
        raise TransientError(
            f"{shown(url)}: cannot connect ({type(error).__name__})", "Check DNS, network policy and proxy settings."
        ) from None
    except urllib3.exceptions.HTTPError as error:
        raise LostError(f"{shown(url)}: connection lost ({type(error).__name__})") from None


def _tls_problem(error: object) -> str:
    """The kind of an error of TLS and OpenSSL's words for it, in which there is no URL."""
    words = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    return f"{type(error).__name__}{f' ({words})' if words else ''}"[:300]
