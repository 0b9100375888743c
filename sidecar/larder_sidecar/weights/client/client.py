"""The HTTP client of hubs, web servers and registries.

A request passes five parts, each with a file of its own:

    redirects        `Client.ask` asks one address after the other, as far as `follow` allows
    authentication   `auth.py` adds credentials for its own host, and answers a challenge with further requests
    connections      `connections.py` judges each address before it connects (`reach.py`), through proxies (`proxy.py`)
    deadlines        `deadline.py` ends the wait for the head of an answer
    errors           `failures.py` translates urllib3's exceptions; `refusal.py` reads what a server says

No URL in an error has a query: a CDN's query is a signature.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import urllib3

from ..errors import HubError, RedirectError, StallError, TransientError
from .address import Address, is_elsewhere, redact_url, require_address, resolve_redirect
from .auth import ANONYMOUS, Auth
from .connections import Body, Connections, OutOfReachError
from .deadline import run_within
from .failures import translate_failures
from .reach import Reach
from .refusal import REDIRECTS, read_start

MAX_REDIRECTS = 5
_LOCKED = {401, 403}
"""403 too: some registries answer it to a client that has not logged in."""

Follow = Callable[[urllib3.BaseHTTPResponse, Address], Address | None]
"""Returns the address to which an answer redirects; None to keep the answer. Raises RedirectError."""


def follow_anywhere(response: urllib3.BaseHTTPResponse, current: Address) -> Address | None:
    """Follow every redirect that can be trusted."""
    location = response.headers.get("Location")
    return resolve_redirect(current, location) if response.status in REDIRECTS and location else None


def follow_within_host(response: urllib3.BaseHTTPResponse, current: Address) -> Address | None:
    """Follow redirects that stay with the host, which may go over to TLS."""
    target = follow_anywhere(response, current)
    return None if target is None or is_elsewhere(current, target) else target


@dataclass(frozen=True)
class _Request:
    """A request to one address. `sender` is the address whose answer named it."""

    method: str
    address: Address
    headers: Mapping[str, str]
    body: Body
    sender: Address | None


class Client:
    """A client that many threads may use. `stall_seconds` of silence end an answer.

    `head_seconds` limit the wait for the head of an answer; None if a request may last, because it sends gigabytes.
    """

    def __init__(self, *, stall_seconds: float = 30.0, head_seconds: float | None = None) -> None:
        self._connections, self._head_seconds = Connections(stall_seconds), head_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._connections.close()

    @contextlib.contextmanager
    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        auth: Auth = ANONYMOUS,
        follow: Follow = follow_anywhere,
        sender: Address | None = None,
        body: Body = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send a request and yield the answer; its `url` is the one that answered, after redirects.

        `sender` is the address whose answer named `url`. Raises HubError.
        """
        first = current = require_address(url)
        sent = {"Accept-Encoding": "identity", **headers}
        for _ in range(MAX_REDIRECTS + 1):
            try:
                with translate_failures(current.url):
                    response = self._send_authenticated(_Request(method, current, sent, body, sender), auth)
            except HubError as error:
                if current.origin != first.origin:
                    error.reason += f"; {redact_url(first.url)}, which redirects there, had answered"
                raise
            try:
                target = follow(response, current)
                if target is None:
                    with translate_failures(current.url):
                        yield response
                    return
            finally:
                response.close()
            sender, current = current, target
        raise RedirectError(f"{redact_url(url)} redirects more than {MAX_REDIRECTS} times", "Check the endpoint.")

    def _send_authenticated(self, request: _Request, auth: Auth) -> urllib3.BaseHTTPResponse:
        """Send a request with the credentials of its host, once more where a challenge brings others."""
        address = request.address
        credentials = auth.credentials() if auth.home and not is_elsewhere(auth.home, address) else {}
        response = self._send_in_time(request, credentials, auth)
        if response.status not in _LOCKED or auth.home is None or auth.home.origin != address.origin:
            return response
        with contextlib.ExitStack() as undo:
            undo.callback(response.close)
            ask = functools.partial(self.ask, "GET", follow=follow_within_host, sender=address)
            if not auth.renew(request.method, response, credentials, ask):
                undo.pop_all()
                return response
            read_start(response)  # so that its connection can be kept
        if not isinstance(request.body, bytes | None):
            raise TransientError(f"{auth.name}: the token expired")  # and part of the body is gone
        return self._send_in_time(request, auth.credentials(), auth)

    def _send_in_time(self, request: _Request, credentials: Mapping[str, str], auth: Auth) -> urllib3.BaseHTTPResponse:
        send = functools.partial(self._send_once, request, credentials, secret=auth.secret)
        if self._head_seconds is None:
            response = send()
        else:
            try:
                response = run_within(self._head_seconds, send, too_late=lambda response: response.close())
            except TimeoutError:
                why = f"{redact_url(request.address.url)}: no answer was complete after {self._head_seconds:g} s"
                raise StallError(why) from None
        response.url = request.address.url  # urllib3 keeps the path alone
        return response

    def _send_once(
        self, request: _Request, credentials: Mapping[str, str], *, secret: bool
    ) -> urllib3.BaseHTTPResponse:
        """Send a request once, from the lookup of the name to the head of the answer.

        In clear text, secrets stay within our own network: a mirror in the cluster may have no TLS.
        """
        sender, address = request.sender, request.address
        reach = Reach.ANYWHERE if sender is None else self._connections.reach(sender, address)
        send = functools.partial(self._connections.request, request.method, address, body=request.body)
        if credentials and secret and address.scheme == "http":
            if reach is Reach.ANYWHERE:
                with contextlib.suppress(OutOfReachError):
                    return send(headers={**request.headers, **credentials}, reach=Reach.INSIDE)
            credentials = {}
        try:
            return send(headers={**request.headers, **credentials}, reach=reach)
        except OutOfReachError:
            raise _into_our_network(sender, address) from None


def _into_our_network(sender: Address | None, target: Address) -> RedirectError:
    """Return the error for a host on the internet that sends us into our own network, or whose name leads there now."""
    reason = f"{redact_url(target.url)}: {target.host} was on the internet and is in the private network now"
    if sender is not None:
        reason = f"{redact_url(sender.url)} redirects into the private network, to {target.host}"
    return RedirectError(reason, "Check the endpoint, and proxies before it; the redirect was not followed.")
