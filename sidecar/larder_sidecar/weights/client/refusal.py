"""Refusals: answers that are not content, as errors that name the host and repeat its message."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import urllib3

from ...config.weights import WeightsFile
from ..errors import BusyError, DeniedError, HubError, NotFoundError, RedirectError, TransientError
from . import proxy
from .address import is_elsewhere, redact_url, require_address
from .deadline import run_within
from .headers import parse_size
from .rate_limit import is_exhausted, requested_pause
from .server_message import MAX_BODY, read_message

TRANSIENT = {408, 425, 429, 500, 502, 503, 504, 509, *range(520, 531), 598, 599}
"""Statuses that may go away. Those from 509 on belong to hosters and CDNs: a quota, or an origin that is down."""
REDIRECTS = {301, 302, 303, 307, 308}
_BUSY = {403, 429, 503}
_BODY_SECONDS = 5.0
_PAGES = ("text/html", "application/xhtml")
_CHECK_ENTRY = "Check the catalog entry."


class CdnError(TransientError):
    """A refusal by a host that the source redirects to. The source's next redirect may carry a better signature."""

    def after(self, held: int) -> HubError:
        """Return a permanent error if no byte ever came from there: a firewall may block this host alone."""
        return self if held else HubError(self.reason, self.remedy)


@dataclass(frozen=True)
class Refusal:
    """An answer that is not content. `asked` is the first URL of the request, `url` the one that answered.

    `who` names the server at the first URL, as in `the hub`; `message` is the message of the host that answered. Errors
    begin with `subject`, or with the first URL.
    """

    who: str
    asked: str
    url: str
    status: int
    headers: Mapping[str, str]
    message: str
    subject: str = ""

    @property
    def elsewhere(self) -> bool:
        """Return True if another host answered than the first one, which may redirect to itself over TLS."""
        return is_elsewhere(require_address(self.asked), require_address(self.url))

    @property
    def code(self) -> str:
        """Return the status, with the proxy that it came through unless headers of the hub show that it answered."""
        return f"{self.status}{self._proxy}"

    @property
    def _proxy(self) -> str:
        own = "X-Error-Code" in self.headers or "X-Error-Message" in self.headers
        return "" if own else _describe_way(self.url, self.headers)

    @property
    def summary(self) -> str:
        """Return status and message in one text."""
        return f"{self.code}: {self.message}" if self.message else self.code

    def denied_remedy(self, remedy: str) -> str:
        """Return the remedy for 401 and 403, with the one for a proxy if a proxy may have answered."""
        other = f" If a proxy answered, allow {require_address(self.url).host} in it."
        return f"{remedy}{other if self._proxy else ''}"

    def error(self, denied: str, missing: str = _CHECK_ENTRY, other: str = _CHECK_ENTRY) -> HubError:
        """Return the error. The arguments are the remedies for 401 and 403, for 404, and for other statuses."""
        where = self.subject or redact_url(self.asked)
        if found := self.general_error():
            return found
        if self.status in {401, 403}:
            return DeniedError(f"{where}: access denied by {self.who} ({self.summary})", self.denied_remedy(denied))
        if self.status == 404:
            return NotFoundError(f"{where}: not found ({self.summary})", missing)
        if self.status in REDIRECTS and not self.headers.get("Location", "").strip():
            reason = f"{where}: {self.who} redirects without a Location ({self.summary})"
            return RedirectError(reason, "Check the endpoint, and proxies before it.")
        return HubError(f"{where}: {self.who} answers {self.summary}", other)

    def general_error(self) -> HubError | None:
        """Return the error of a proxy, a network, another host or a busy host; None if the source itself refuses."""
        where = redact_url(self.url)
        if self.status == 407:
            return proxy.credentials_error(where)
        if self.status == 511:
            return TransientError(
                f"{where}: the network asks for a login ({self.summary})",
                "Log in to the network, or allow this host in it.",
            )
        limited = self.status == 403 and is_exhausted(self.headers) and "X-Error-Code" not in self.headers
        if self.status in TRANSIENT or limited:
            who = "this host" if self.elsewhere else self.who
            kind = BusyError if self.status in _BUSY else TransientError
            wait = requested_pause(self.headers)
            asks = f"; it asks for a pause of {wait:.0f} s" if wait else ""
            return kind(f"{where}: {who} answers {self.summary}{asks}", wait=wait)
        if self.elsewhere:
            asked, host = redact_url(self.asked), require_address(self.url).host
            return CdnError(
                f"{where} refuses ({self.summary}) what {asked} redirects to; {self.who} itself answered",
                f"Allow {host} in firewall and proxy; access to {self.who} is not the problem.",
            )
        return None


def read_refusal(response: urllib3.BaseHTTPResponse, asked: str, who: str, hide: Iterable[str] = ()) -> Refusal:
    """Read the beginning of an answer that is not content. `hide` lists secrets that are not repeated."""
    url = response.url or asked
    return Refusal(
        who, asked, url, response.status, response.headers, read_message(response.headers, read_start(response), hide)
    )


def raise_if_busy(response: urllib3.BaseHTTPResponse, asked: str, who: str) -> None:
    """Raise an error if a host is too busy to answer."""
    if response.status in TRANSIENT and (error := read_refusal(response, asked, who).general_error()):
        raise error


def reject_web_page(response: urllib3.BaseHTTPResponse, file: WeightsFile) -> None:
    """Raise RedirectError if a web page comes in place of a file, such as a login page."""
    size = parse_size(response.headers.get("Content-Length", ""))
    is_page = response.headers.get("Content-Type", "").lower().startswith(_PAGES)
    if response.status != 200 or size == file.bytes or not (is_page or (size or MAX_BODY) < MAX_BODY):
        return
    body = read_start(response)  # its size differs from the file's, so these bytes belong to no download
    if is_page or body.lstrip().startswith(b"<"):
        title = read_message(response.headers, body)
        raise RedirectError(
            f"{redact_url(response.url or file.url)} sends a web page{title and f' ({title})'} in place of {file.path}",
            "Check the network for a login page or a proxy, and the endpoint in the settings.",
        )


def read_start(response: urllib3.BaseHTTPResponse) -> bytes:
    """Return the beginning of a body; nothing if it is compressed, or does not come within a few seconds."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return b""
    try:
        return run_within(_BODY_SECONDS, lambda: response.read(MAX_BODY, decode_content=False), too_late=lambda _: None)
    except TimeoutError:
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            response.shutdown()  # to close it would wait for the thread that reads
    except (urllib3.exceptions.HTTPError, OSError):
        pass
    return b""


def _describe_way(url: str, headers: Mapping[str, str]) -> str:
    """Return the proxy that an answer came through, if the answer or the environment names one."""
    via = " ".join(char for char in headers.get("Via", "").split() if char.isprintable())[:100]
    if via:
        return f" by way of {via}"
    return proxy.describe_proxy(url, " through the proxy {}") if url.startswith("http://") else ""
