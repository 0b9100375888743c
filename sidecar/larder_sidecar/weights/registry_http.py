"""The requests of one registry: its credentials, proxy and waits, and its refusals in our words."""

import contextlib
import json
import re
from collections.abc import Mapping

import urllib3

from ..config.url import UrlError
from . import proxy
from .address import Address, Origin, named, read, redirected
from .connections import Body, Connections, OutOfReachError
from .errors import DeniedError, HubError, NotFoundError, TransientError
from .login import LARGEST, Login
from .reach import Reach
from .reference import registry_address
from .web import explained, into_our_network, whole

TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_LOCKED = {401, 403}
"""403 too: there are registries that answer it to whoever has not logged in."""


class RegistryHttp:
    """Requests to the registry at `host[:port]`. Credentials go to that host alone, and never in clear text.

    `stall_seconds`: silence that ends a request; a registry may take long to put away gigabytes it has just received.
    """

    def __init__(self, host: str, login: Login, *, plain_http: bool, stall_seconds: float) -> None:
        self.host = host
        self.base = f"{'http' if plain_http else 'https'}://{registry_address(host)}/v2/"
        self._home = named(self.base)
        self._login = Login() if plain_http else login
        self._connections = Connections(stall_seconds)
        self._senders: dict[Origin, Address] = {}
        self._challenges: list[str] | None = None
        """The challenges of /v2/: some registries name the way in there alone."""

    def close(self) -> None:
        """Give the connections back."""
        self._connections.close()

    def location(self, answer: urllib3.BaseHTTPResponse, before: str) -> str:
        """Where an answer sends us on to; `before` is what was asked. Raises RedirectError."""
        sender = named(before)
        target = redirected(sender, answer.headers.get("Location", before))
        if target.origin != self._home.origin or sender.origin != self._home.origin:
            self._senders[target.origin] = sender
        return target.url

    def names(self, location: str) -> bool:
        """Whether an upload may go on at a location that was kept on a disk, where others may write.

        It is at the registry, among its uploads, or at a host that the registry has named in this run.
        """
        try:
            address = read(location)
        except UrlError:
            return False
        path = address.url.partition("?")[0]
        at_home = address.origin == self._home.origin and "upload" in path and "/manifests/" not in path
        return at_home or address.origin in self._senders

    def ask(
        self,
        method: str,
        url: str,
        repository: str,
        headers: dict[str, str] | None = None,
        body: Body = None,
        *,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """One answer about `repository`, after a login where the registry asks for one. Raises HubError."""
        ours = named(url).origin == self._home.origin
        sent = self._login.header(repository) if ours else {}
        answer = self._once(method, url, (headers or {}) | sent, body, stream=stream)
        if answer.status not in _LOCKED or not ours or not self._renew(method, url, repository, answer, sent):
            return answer
        if isinstance(body, bytes | None):
            answer.drain_conn()
            return self._once(method, url, (headers or {}) | self._login.header(repository), body, stream=stream)
        raise TransientError(f"{self.host}/{repository}: the token ran out")  # and part of the body is gone

    def _renew(
        self, method: str, url: str, repository: str, answer: urllib3.BaseHTTPResponse, sent: Mapping[str, str]
    ) -> bool:
        """Log in as the answer asks, or as the registry's front door does where the answer does not say how."""
        lines = answer.headers.getlist("WWW-Authenticate")
        if not lines and (answer.status == 401 or not sent):
            lines = self._door()
        scope = f"repository:{repository}:{'pull' if method in {'GET', 'HEAD'} else 'pull,push'}"
        return self._login.renew(repository, url, lines, self._buy, sent, scope)

    def _door(self) -> list[str]:
        if self._challenges is None:
            self._challenges = self._once("GET", self.base, {}).headers.getlist("WWW-Authenticate") or ["Basic"]
        return self._challenges

    def _buy(self, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        with contextlib.closing(self._once("GET", url, headers, stream=True)) as answer, explained(url):
            return answer.status, answer.read(LARGEST)

    def _once(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Body = None,
        *,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        address = named(url)
        ours = address.origin == self._home.origin
        sender = self._senders.get(address.origin, None if ours else self._home)
        reach = Reach.ANYWHERE if sender is None else self._connections.reach(sender, address)
        try:
            with explained(url):
                return self._connections.request(method, address, headers, reach, body, stream=stream)
        except OutOfReachError:
            raise into_our_network(sender, address) from None

    def refusal(self, answer: urllib3.BaseHTTPResponse, repository: str, *, reading: bool = False) -> HubError:
        """The error for an answer that is not what was asked for."""
        where, status, code = f"{self.host}/{repository}", answer.status, code_in(answer.data)
        why = f"{where}: the registry answers {status}{f' ({code})' if code else ''}"
        if status in TRANSIENT:
            return TransientError(why, wait=min(60, whole(answer.headers.get("Retry-After", "")) or 0))
        return proxy.denied(where) if status == 407 else _final(why, status, reading=reading)


def _final(why: str, status: int, *, reading: bool) -> HubError:
    if status in {401, 403}:
        may = "read" if reading else "push"
        return DeniedError(
            why, f"Pass credentials that may {may} there with --token-file or --credentials-file, not by --plain-http."
        )
    if status == 404:
        what = "image" if reading else "project"
        return NotFoundError(why, f"Check the registry's name and whether its {what} exists.")
    if status == 413:
        return HubError(why, "Something before the registry limits its requests: pass a smaller --chunk-size.")
    return HubError(why, "Check that this is a registry, and its limits.")


def code_in(body: bytes) -> str:
    """The word by which registries explain themselves; nothing where they do not."""
    try:
        code = str(json.loads(body)["errors"][0]["code"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
    return code if re.fullmatch(r"[A-Z_]{1,64}", code) else ""
