"""The requests of one registry: its credentials, proxy and waits, and its refusals in our words."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import urllib3

from ...config.url import UrlError
from ..client.address import Address, Origin, meant, named, over_tls, read, redirected
from ..client.auth import RegistryAuth
from ..client.challenge import challenges
from ..client.client import REDIRECTS, Client, Follow
from ..client.connections import Body
from ..client.login import Login
from ..client.refusal import Refusal, head
from ..client.server_words import said
from ..errors import DeniedError, HubError, NotFoundError, RedirectError
from ..image_names import registry_address

_SAME_METHOD = {307, 308}
_SCHEMES = {"bearer", "basic"}


@dataclass(frozen=True)
class Answer:
    """An answer with the beginning of its body. `asked` is the URL of the question."""

    asked: str
    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes


class RegistryHttp:
    """Requests to the registry at `host[:port]`. Credentials go to that host alone, and never in clear text.

    `stall_seconds`: silence that ends a request; a registry may take long to put away gigabytes it has just received.
    """

    def __init__(self, host: str, login: Login, *, plain_http: bool, stall_seconds: float) -> None:
        self.host = host
        self.base = f"{'http' if plain_http else 'https'}://{registry_address(host)}/v2/"
        self._home = named(self.base)
        self._login = Login() if plain_http else login
        self._client = Client(stall_seconds=stall_seconds)
        self._senders: dict[Origin, Address] = {}

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def names(self, location: str) -> bool:
        """Return True if an upload may go on at a location that was kept on a disk, where others may write.

        It is at the registry, among its uploads, or at a host that the registry has named in this run.
        """
        try:
            address = read(location)
        except UrlError:
            return False
        path = address.url.partition("?")[0]
        at_home = address.origin == self._home.origin and "upload" in path and "/manifests/" not in path
        return at_home or address.origin in self._senders

    def location(self, sender: Address, headers: Mapping[str, str]) -> Address:
        """Return the address to go on at: the Location of an answer of `sender`, or `sender`. Raises RedirectError."""
        upload, location = headers.get("Docker-Upload-UUID", ""), headers.get("Location", "").strip()
        if not location and sender.url.endswith("/uploads/"):
            if not re.fullmatch(r"[A-Za-z0-9_.=-]{1,200}", upload) or not upload.strip("."):
                raise RedirectError(f"{self.host} names no place to send a blob to", "Check that this is a registry.")
            location = sender.url + upload
        if sender.origin == self._home.origin:
            with contextlib.suppress(UrlError):
                location = over_tls(self._home, meant(sender, location)).url
        target = redirected(sender, location)
        if target.origin != self._home.origin or sender.origin != self._home.origin:
            self._senders[target.origin] = sender
        return target

    def ask(
        self,
        method: str,
        url: str,
        repository: str,
        headers: dict[str, str] | None = None,
        body: Body = None,
    ) -> Answer:
        """One answer about `repository`, after a login where the registry asks for one. Raises HubError.

        A registry may send a change on to another URL, unless its body is a stream, which is gone by then.
        """
        may_follow = method not in {"GET", "HEAD"} and isinstance(body, bytes | None)

        def follow(response: urllib3.BaseHTTPResponse, current: Address) -> Address | None:
            elsewhere = response.status in _SAME_METHOD and "Location" in response.headers
            return self._followed(response, current) if may_follow and elsewhere else None

        with self._asked(method, url, repository, headers or {}, follow, body) as response:
            return Answer(response.url or url, response.status, response.headers, head(response))

    def open(
        self, url: str, repository: str, headers: dict[str, str]
    ) -> contextlib.AbstractContextManager[urllib3.BaseHTTPResponse]:
        """Yield the answer to a GET, after redirects. Raises HubError."""

        def follow(response: urllib3.BaseHTTPResponse, current: Address) -> Address | None:
            return self._followed(response, current) if response.status in REDIRECTS else None

        return self._asked("GET", url, repository, headers, follow)

    def _followed(self, response: urllib3.BaseHTTPResponse, current: Address) -> Address:
        head(response)  # so that its connection can be kept
        return self.location(current, response.headers)

    def _asked(
        self, method: str, url: str, repository: str, headers: Mapping[str, str], follow: Follow, body: Body = None
    ) -> contextlib.AbstractContextManager[urllib3.BaseHTTPResponse]:
        origin = named(url).origin
        sender = self._senders.get(origin, None if origin == self._home.origin else self._home)
        auth = RegistryAuth(self._home, f"{self.host}/{repository}", self.base, repository, self._login)
        return self._client.ask(method, url, headers, auth=auth, follow=follow, sender=sender, body=body)

    def refusal(self, answer: Answer, repository: str, *, reading: bool = False) -> HubError:
        """The error for an answer that is not what was asked for."""
        words = said(answer.headers, answer.body, hide=self._login.secrets())
        it = Refusal("the registry", self.base, answer.asked, answer.status, answer.headers, words)
        where, status = f"{self.host}/{repository}", it.status
        why = f"{where}: the registry answers {it.code}{f' ({words})' if words else ''}"
        if status == 413:
            return HubError(why, "Something before the registry limits its requests: pass a smaller --chunk-size.")
        if found := it.passing():
            return found
        if status in {401, 403}:
            return DeniedError(why, it.denied(_credentials(answer.headers, "read" if reading else "push")))
        if status == 404:
            what = "image" if reading else "project"
            return NotFoundError(why, f"Check the registry's name and whether its {what} exists.")
        return HubError(why, "Check that this is a registry, and its limits.")


def _credentials(headers: urllib3.HTTPHeaderDict, may: str) -> str:
    schemes = {it.scheme for it in challenges(headers.getlist("WWW-Authenticate"))}
    if schemes and not schemes & _SCHEMES:
        offered = ", ".join(sorted(schemes))[:100]
        return f"The registry logs in by {offered} alone: have it take passwords (Basic) or tokens (Bearer)."
    return f"Pass credentials that may {may} there with --token-file or --credentials-file, not by --plain-http."
