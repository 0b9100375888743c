"""Requests to one registry: the addresses of uploads, and refusals as errors."""

import contextlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import urllib3

from ...config.url import UrlError
from ..client.address import (
    Address,
    Origin,
    keep_tls,
    parse_address,
    require_address,
    resolve_redirect,
    resolve_reference,
)
from ..client.auth import RegistryAuth
from ..client.challenge import parse_challenges
from ..client.client import Client
from ..client.connections import Body
from ..client.login import Login
from ..client.refusal import REDIRECTS, Refusal, read_start
from ..client.server_message import read_message
from ..errors import HubError, RedirectError
from ..oci import registry_address

_SAME_METHOD = frozenset({307, 308})
_SCHEMES = {"bearer", "basic"}


@dataclass(frozen=True)
class Answer:
    """An answer with the beginning of its body. `asked` is the URL that answered."""

    asked: str
    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes


class RegistryHttp:
    """Requests to the registry at `host[:port]`. Credentials go to that host alone, and never in clear text.

    `stall_seconds` of silence end a request; a registry may take long to store gigabytes that it has just received.
    """

    def __init__(self, host: str, login: Login, *, plain_http: bool, stall_seconds: float) -> None:
        self.host = host
        self.base = f"{'http' if plain_http else 'https'}://{registry_address(host)}/v2/"
        self._home = require_address(self.base)
        self._login = Login() if plain_http else login
        self._client = Client(stall_seconds=stall_seconds)
        self._senders: dict[Origin, Address] = {}

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def accepts(self, location: str) -> bool:
        """Return True if an upload may go on at a location from a disk that others may write.

        It must be among the uploads of the registry, or at a host that the registry has named in this run.
        """
        try:
            address = parse_address(location)
        except UrlError:
            return False
        path = address.url.partition("?")[0]
        at_home = address.origin == self._home.origin and "upload" in path and "/manifests/" not in path
        return at_home or address.origin in self._senders

    def next_address(self, sender: Address, headers: Mapping[str, str]) -> Address:
        """Return the address to go on at: the Location of an answer of `sender`, or `sender`. Raises RedirectError."""
        upload, location = headers.get("Docker-Upload-UUID", ""), headers.get("Location", "").strip()
        if not location and sender.url.endswith("/uploads/"):
            if not re.fullmatch(r"[A-Za-z0-9_.=-]{1,200}", upload) or not upload.strip("."):
                raise RedirectError(
                    f"{self.host}: the answer has no address for an upload", "Check that this is a registry."
                )
            location = sender.url + upload
        if sender.origin == self._home.origin:
            with contextlib.suppress(UrlError):
                location = keep_tls(self._home, resolve_reference(sender, location)).url
        target = resolve_redirect(sender, location)
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
        """Send a request about `repository`, after a login if the registry wants one. Raises HubError.

        A redirect of a change is followed, unless its body is a stream, which is used up by then.
        """
        followed = _SAME_METHOD if method not in {"GET", "HEAD"} and isinstance(body, bytes | None) else frozenset()
        with self._ask(method, url, repository, headers or {}, followed, body) as response:
            return Answer(response.url or url, response.status, response.headers, read_start(response))

    def open(
        self, url: str, repository: str, headers: dict[str, str]
    ) -> contextlib.AbstractContextManager[urllib3.BaseHTTPResponse]:
        """Yield the answer to a GET, after redirects. Raises HubError."""
        return self._ask("GET", url, repository, headers, REDIRECTS)

    def _ask(
        self,
        method: str,
        url: str,
        repository: str,
        headers: Mapping[str, str],
        followed: Collection[int],
        body: Body = None,
    ) -> contextlib.AbstractContextManager[urllib3.BaseHTTPResponse]:
        """Send a request, and follow the redirects with one of these statuses."""

        def follow(response: urllib3.BaseHTTPResponse, current: Address) -> Address | None:
            if response.status not in followed or not response.headers.get("Location", "").strip():
                return None
            read_start(response)  # so that its connection can be kept
            return self.next_address(current, response.headers)

        origin = require_address(url).origin
        sender = self._senders.get(origin, None if origin == self._home.origin else self._home)
        auth = RegistryAuth(self._home, f"{self.host}/{repository}", repository, self._login)
        return self._client.ask(method, url, headers, auth=auth, follow=follow, sender=sender, body=body)

    def refusal(self, answer: Answer, repository: str, *, reading: bool = False) -> HubError:
        """Return the error for an unexpected answer."""
        message = read_message(answer.headers, answer.body, hide=self._login.secrets())
        where = f"{self.host}/{repository}"
        it = Refusal("the registry", self.base, answer.asked, answer.status, answer.headers, message, where)
        if it.status == 413:
            remedy = "Pass a smaller --chunk-size: something before the registry limits the size of requests."
            return HubError(f"{where}: the registry answers {it.summary}", remedy)
        return it.error(
            denied=_login_remedy(answer.headers, "read" if reading else "push"),
            missing=f"Check the registry's name, and that its {'image' if reading else 'project'} exists.",
            other="Check that this is a registry, and its limits.",
        )


def _login_remedy(headers: urllib3.HTTPHeaderDict, may: str) -> str:
    schemes = {it.scheme for it in parse_challenges(headers.getlist("WWW-Authenticate"))}
    if schemes and not schemes & _SCHEMES:
        offered = ", ".join(sorted(schemes))[:100]
        return f"Allow passwords (Basic) or tokens (Bearer) in the registry: it accepts {offered} only."
    return f"Pass credentials that may {may} there with --token-file or --credentials-file, and not --plain-http."
