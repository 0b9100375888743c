"""Turns an answer that is not content into an error that names the host that answered and repeats what it said."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import urllib3

from ...config.weights import WeightsFile
from ..errors import BusyError, DeniedError, HubError, NotFoundError, RedirectError, TransientError
from . import proxy
from .address import is_elsewhere, named, shown
from .deadline import within
from .headers import whole
from .rate_limit import exhausted, pause
from .server_words import READ, said

TRANSIENT = {408, 425, 429, 500, 502, 503, 504, 509, *range(520, 531), 598, 599}
"""From 509 on they are those of hosters and CDNs, for an origin that does not answer or a quota."""
_BUSY = {403, 429, 503}
_BODY_SECONDS = 5.0
_PAGES = ("text/html", "application/xhtml")


class CdnError(TransientError):
    """A host that the source redirects to refuses. The source's next redirect may carry a better signature."""

    def after(self, held: int) -> HubError:
        """A lasting error where no byte ever came from there: a network that lets the source through and not this."""
        return self if held else HubError(self.reason, self.remedy)


@dataclass(frozen=True)
class Refusal:
    """An answer that is not content, to a question whose first URL was `asked`; `url` is the one that answered.

    `who` is the party at the first URL, as in `the hub`; `words` are what the host that answered said.
    """

    who: str
    asked: str
    url: str
    status: int
    headers: Mapping[str, str]
    words: str

    @property
    def elsewhere(self) -> bool:
        """Tell whether another host answered than the first one, which may have redirected to itself over TLS."""
        return is_elsewhere(named(self.asked), named(self.url))

    @property
    def code(self) -> str:
        """The status, and by way of which proxy it came where the hub's own words do not show who answered."""
        return f"{self.status}{self._between}"

    @property
    def _between(self) -> str:
        own = "X-Error-Code" in self.headers or "X-Error-Message" in self.headers
        return "" if own else _way(self.url, self.headers)

    @property
    def told(self) -> str:
        """The answer, for a message."""
        return f"{self.code}: {self.words}" if self.words else self.code

    def denied(self, remedy: str) -> str:
        """Return the remedy for 401 and 403, and the one for a proxy where one may have answered."""
        other = f" If a proxy said that, have it let {named(self.url).host} through."
        return f"{remedy}{other if self._between else ''}"

    def error(self, denied: str, missing: str, other: str) -> HubError:
        """The error; the arguments are the remedies for 401 and 403, for 404, and for the rest."""
        where = shown(self.asked)
        if found := self.passing():
            return found
        if self.status in {401, 403}:
            return DeniedError(f"{where}: access denied by {self.who} ({self.told})", self.denied(denied))
        if self.status == 404:
            return NotFoundError(f"{where}: not found ({self.told})", missing)
        return HubError(f"{where}: {self.who} answers {self.told}", other)

    def passing(self) -> HubError | None:
        """The error of a proxy, of a network, of another host or of a host that is busy; None for any other."""
        where = shown(self.url)
        if self.status == 407:
            return proxy.denied(where)
        if self.status == 511:
            return TransientError(
                f"{where}: the network between asks for a login ({self.told})",
                "Log in to the network, or have it let this host through.",
            )
        limited = self.status == 403 and exhausted(self.headers) and "X-Error-Code" not in self.headers
        if self.status in TRANSIENT or limited:
            who = "this host" if self.elsewhere else self.who
            kind = BusyError if self.status in _BUSY else TransientError
            wait = pause(self.headers)
            asks = f"; it asks for a pause of {wait:.0f} s" if wait else ""
            return kind(f"{where}: {who} answers {self.told}{asks}", wait=wait)
        if self.elsewhere:
            return CdnError(
                f"{where} refuses ({self.told}) what {shown(self.asked)} redirects to; {self.who} itself had answered",
                f"Have firewall and proxy let {named(self.url).host} through; access to {self.who} is not the problem.",
            )
        return None


def refusal(response: urllib3.BaseHTTPResponse, asked: str, who: str, hide: Iterable[str] = ()) -> Refusal:
    """Read a little of an answer that is not content. `hide` are secrets that are not to be repeated."""
    url = response.url or asked
    return Refusal(who, asked, url, response.status, response.headers, said(response.headers, head(response), hide))


def busy(response: urllib3.BaseHTTPResponse, asked: str, who: str) -> None:
    """Raise the error of a host that has too much to do, if it is one."""
    if response.status in TRANSIENT and (error := refusal(response, asked, who).passing()):
        raise error


def not_a_page(response: urllib3.BaseHTTPResponse, file: WeightsFile) -> None:
    """Raise RedirectError where a web page comes in place of a file: a login page, or that of a proxy."""
    size = whole(response.headers.get("Content-Length", ""))
    is_page = response.headers.get("Content-Type", "").lower().startswith(_PAGES)
    if response.status != 200 or size == file.bytes or not (is_page or (size or READ) < READ):
        return
    body = head(response)  # of another size than the file, so nobody misses it
    if is_page or body.lstrip().startswith(b"<"):
        title = said(response.headers, body)
        raise RedirectError(
            f"{shown(response.url or file.url)} sends a web page{title and f' ({title})'} in place of {file.path}",
            "A login page or a proxy may stand between: check the network, or the endpoint in the settings.",
        )


def head(response: urllib3.BaseHTTPResponse) -> bytes:
    """The beginning of a body; nothing where it does not come within a few seconds, or is compressed."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return b""
    try:
        return within(_BODY_SECONDS, lambda: response.read(READ, decode_content=False), too_late=lambda _: None)
    except TimeoutError:
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            response.shutdown()  # to close it one would wait for whoever reads
    except (urllib3.exceptions.HTTPError, OSError):
        pass
    return b""


def _way(url: str, headers: Mapping[str, str]) -> str:
    """The proxy that an answer came through, where the answer or the environment names one."""
    via = " ".join(char for char in headers.get("Via", "").split() if char.isprintable())[:100]
    if via:
        return f" by way of {via}"
    return proxy.called(url, " through the proxy {}") if url.startswith("http://") else ""
