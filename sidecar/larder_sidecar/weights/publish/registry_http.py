"""The requests of one registry: its credentials, proxy and waits, and its refusals in our words."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import urllib3

from ...config.url import UrlError
from ..client.address import Address, Origin, meant, named, over_tls, read, redirected, shown
from ..client.challenge import challenges
from ..client.connections import Body, Connections, OutOfReachError
from ..client.login import LARGEST, Login, leads_in
from ..client.reach import Reach
from ..client.refusal import Refusal, busy, head
from ..client.server_words import said
from ..client.web import MAX_REDIRECTS, REDIRECTS, explained, into_our_network
from ..errors import DeniedError, HubError, NotFoundError, RedirectError, TransientError
from ..image_names import registry_address

_LOCKED = {401, 403}
"""403 too: there are registries that answer it to whoever has not logged in."""
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
        self._connections = Connections(stall_seconds)
        self._senders: dict[Origin, Address] = {}
        self._challenges: list[str] | None = None
        """The challenges of /v2/: some registries name the way in there alone."""

    def close(self) -> None:
        """Give the connections back."""
        self._connections.close()

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

    def location(self, answer: Answer) -> str:
        """The URL to go on at: the answer's Location, or the URL that was asked. Raises RedirectError."""
        sender, upload = named(answer.asked), answer.headers.get("Docker-Upload-UUID", "")
        location = answer.headers.get("Location", "").strip()
        if not location and answer.asked.endswith("/uploads/"):
            if not re.fullmatch(r"[A-Za-z0-9_.=-]{1,200}", upload) or not upload.strip("."):
                raise RedirectError(f"{self.host} names no place to send a blob to", "Check that this is a registry.")
            location = answer.asked + upload
        if sender.origin == self._home.origin:
            with contextlib.suppress(UrlError):
                location = over_tls(self._home, meant(sender, location)).url
        target = redirected(sender, location)
        if target.origin != self._home.origin or sender.origin != self._home.origin:
            self._senders[target.origin] = sender
        return target.url

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
        for _ in range(MAX_REDIRECTS + 1):
            with contextlib.closing(self._opened(method, url, repository, headers or {}, body)) as opened:
                answer = Answer(url, opened.status, opened.headers, head(opened))
            elsewhere = answer.status in _SAME_METHOD and "Location" in answer.headers
            if not elsewhere or method in {"GET", "HEAD"} or not isinstance(body, bytes | None):
                return answer
            url = self.location(answer)
        raise self._endless(repository)

    def open(self, url: str, repository: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """The answer to a GET, after redirects; whoever gets it closes it. Raises HubError."""
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._opened("GET", url, repository, headers)
            answer.url = url
            if answer.status not in REDIRECTS:
                return answer
            with contextlib.closing(answer):
                url = self.location(Answer(url, answer.status, answer.headers, head(answer)))
        raise self._endless(repository)

    def _endless(self, repository: str) -> RedirectError:
        url = shown(f"{self.base}{repository}")
        return RedirectError(f"{url} redirects more than {MAX_REDIRECTS} times", "Check the endpoint.")

    def _opened(
        self, method: str, url: str, repository: str, headers: dict[str, str], body: Body = None
    ) -> urllib3.BaseHTTPResponse:
        ours = named(url).origin == self._home.origin
        sent = self._login.header(repository) if ours else {}
        answer = self._once(method, url, headers | sent, body)
        if answer.status not in _LOCKED or not ours:
            return answer
        with contextlib.ExitStack() as undo:
            undo.callback(answer.close)
            if not self._renew(method, url, repository, answer, sent):
                undo.pop_all()
                return answer
            head(answer)  # so that its connection can be kept
        if isinstance(body, bytes | None):
            return self._once(method, url, headers | self._login.header(repository), body)
        raise TransientError(f"{self.host}/{repository}: the token ran out")  # and part of the body is gone

    def _renew(
        self, method: str, url: str, repository: str, answer: urllib3.BaseHTTPResponse, sent: Mapping[str, str]
    ) -> bool:
        """Log in as the answer asks, or as the registry's front door does where the answer does not say how."""
        lines = [it for it in answer.headers.getlist("WWW-Authenticate") if challenges([it])]
        if not leads_in(lines) and (answer.status == 401 or not sent):
            lines = self._door() or lines or ["Basic"]
        scope = f"repository:{repository}:{'pull' if method in {'GET', 'HEAD'} else 'pull,push'}"
        return self._login.renew(repository, url, lines, self._buy, sent, scope)

    def _door(self) -> list[str]:
        if self._challenges is None:
            with contextlib.closing(self._once("GET", self.base, {})) as answer:
                self._challenges = [it for it in answer.headers.getlist("WWW-Authenticate") if challenges([it])]
                head(answer)
        return self._challenges

    def _buy(self, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        with contextlib.closing(self._once("GET", url, headers)) as answer, explained(url):
            answer.url = url
            busy(answer, url, "the token service")
            return answer.status, answer.read(LARGEST)

    def _once(self, method: str, url: str, headers: dict[str, str], body: Body = None) -> urllib3.BaseHTTPResponse:
        address = named(url)
        ours = address.origin == self._home.origin
        sender = self._senders.get(address.origin, None if ours else self._home)
        reach = Reach.ANYWHERE if sender is None else self._connections.reach(sender, address)
        try:
            with explained(url):
                return self._connections.request(method, address, headers, reach, body)
        except OutOfReachError:
            raise into_our_network(sender, address) from None

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
