"""Addresses: URLs as urllib3 reads them, which is the parser that connects.

A URL that another parser could read as the URL of another host is refused.
"""

import re
from dataclasses import dataclass

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from ...config.url import UrlError, authority
from ..errors import HubError, RedirectError

_PORTS = {"http": 80, "https": 443}
Origin = tuple[str, str, int]


@dataclass(frozen=True)
class Address:
    """An http or https URL. `url` is its one spelling, without a fragment; an IPv6 `host` has brackets."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> Origin:
        """Return scheme, host and port: credentials belong to them."""
        return self.scheme, self.host, self.port


def parse_address(url: str) -> Address:
    """Return the address that a connection to `url` leads to. Raises UrlError."""
    if not re.match("https?:", url, re.IGNORECASE):
        raise UrlError("is not http or https")
    scheme, _, port = authority(url)
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise UrlError("has no valid host") from None
    return Address(parts._replace(fragment=None).url, scheme, parts.host or "", port or _PORTS[scheme])


def require_address(url: str) -> Address:
    """Return the address of a URL of the configuration. Raises HubError."""
    try:
        return parse_address(url)
    except UrlError as reason:
        raise HubError(f"{redact_url(url)}: the URL {reason}", "Write http://HOST/… or https://HOST/….") from None


def resolve_reference(sender: Address, reference: str) -> Address:
    """Return the address that a header of `sender`'s answer names, perhaps relative to it. Raises UrlError."""
    # Headers come as Latin-1: what is not ASCII in a path is the bytes that were sent.
    text = re.sub(r"[\x80-\xff]", lambda found: f"%{ord(found[0]):02X}", reference.strip(" \t"))
    return parse_address(_join(sender, text))


def resolve_redirect(sender: Address, location: str) -> Address:
    """Return the address that a redirect of `sender` leads to. Raises RedirectError."""
    try:
        target = resolve_reference(sender, location)
    except UrlError as reason:
        why = f"{redact_url(sender.url)} redirects to an invalid URL: it {reason}"
        raise RedirectError(why, "Check the endpoint; the redirect was not followed.") from None
    check_tls(sender, target)
    return target


def check_tls(sender: Address, target: Address) -> None:
    """Raise RedirectError if the step from `sender` to `target` would end TLS."""
    if sender.scheme == "https" != target.scheme:
        raise RedirectError(
            f"{redact_url(sender.url)} redirects to {redact_url(target.url)}, without TLS",
            "Check the endpoint, and proxies before it; the redirect was not followed.",
        )


def is_elsewhere(first: Address, other: Address) -> bool:
    """Return True for another origin than `first`'s, unless it is the same host that went over to TLS."""
    upgraded = (first.scheme, first.port) == ("http", 80) and other.origin == ("https", first.host, 443)
    return other.origin != first.origin and not upgraded


def keep_tls(home: Address, target: Address) -> Address:
    """Return `target`, or its address at `home`: a service behind a proxy that ends TLS often calls itself http."""
    itself = target.host == home.host and target.port in {80, home.port}
    if (home.scheme, target.scheme) != ("https", "http") or not itself:
        return target
    rest = target.url.partition("://")[2].partition("/")[2]
    return parse_address(f"https://{home.host}:{home.port}/{rest}")


def _join(sender: Address, location: str) -> str:
    """Return the URL that a reference means (RFC 3986 5.2). Python's urljoin drops empty parts of a path."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location):
        return location
    if location.startswith("//"):
        return f"{sender.scheme}:{location}"
    if not location or location.startswith("#"):
        return sender.url
    url = sender.url.partition("?")[0]
    if location.startswith("?"):
        return url + location
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    root = f"{scheme}://{authority}"
    return root + location if location.startswith("/") else f"{root}/{path[: path.rfind('/') + 1]}{location}"


def redact_url(url: str) -> str:
    """Return the URL for a message, without query and credentials: a CDN's query is a signature."""
    try:
        parts = parse_url(url)
    except LocationParseError:
        return "an invalid URL"
    return f"{parts.scheme}://{parts.netloc or ''}{parts.path or ''}"[:300]
