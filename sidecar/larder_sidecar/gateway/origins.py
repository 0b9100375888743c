"""Access for web pages: those of listed origins are answered, pages of other origins or host names are not.

The engine's own checks of Origin and Host see neither, because the gateway takes both headers away. A browser names
the origin of the page in each POST, and only browsers do. If a page and the gateway share a host, that host must be
ours: with DNS rebinding, an attacker's name leads here. Over plain http a browser marks no GET to the page's own host,
so DNS rebinding can still read what GETs tell.
"""

import ipaddress
import re

from ..config.cors import ANY, Cors
from ..config.gateway import Role
from ..http.answer import Answer, error
from .request import GatewayRequest

MAX_AGE = 7200
"""Seconds that a browser may cache a preflight; Chrome's limit."""
_EXPOSED = b"x-request-id, x-larder-model, x-larder-rule, x-larder-cache, x-larder-queue-ms, retry-after"
_HEADER_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:[ \t]*,[ \t]*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")
_PORT = re.compile(rb":(?:80|443)?$")
_LOCAL = (b".localhost", b".local", b".internal", b".svc")
"""Suffixes of names that cannot be registered in public DNS."""
_READS = ("GET", "HEAD")


class Origins:
    """Judges requests by their heads."""

    def __init__(self, role: Role, cors: Cors) -> None:
        self._role = role
        self.read(cors)

    def read(self, cors: Cors) -> None:
        """Take this list from now on."""
        self._any = ANY in cors.origins
        self._exact = frozenset(origin.encode() for origin in cors.origins)
        patterns = [_pattern(origin) for origin in cors.origins if "*" in origin and origin != ANY]
        self._pattern = re.compile(b"|".join(patterns)) if patterns else None
        self._vary = b"vary: origin\r\n" if cors.origins else b""

    def judge(self, request: GatewayRequest) -> Answer | None:
        """Refuse, answer a preflight, or let pass; sets the header lines in `request.cors` for every answer."""
        request.cors = self._vary
        if not request.by_browser or self._role == "behind":  # browsers reach the front, not this gateway
            return None
        origins = [value for name, value in request.headers if name == b"origin"]
        if not origins:
            return self._without_origin(request, request.header(b"sec-fetch-site").lower())
        origin = origins[0]
        if len(origins) == 1 and self._is_listed(origin):
            to = b"*" if self._any else origin
            request.cors += b"access-control-allow-origin: %b\r\naccess-control-expose-headers: %b\r\n" % (to, _EXPOSED)
            return _preflight(request) if request.method == "OPTIONS" else None
        host = _strip_port(request.host or b"")
        if len(origins) == 1 and _strip_port(origin.partition(b"://")[2]) == host != b"":
            return None if self._is_own_host(host) else _not_ours(host)
        if request.method == "OPTIONS":
            return _no_preflight(origin)
        return None if request.method in _READS else _refused(origin)

    # --- inside

    def _without_origin(self, request: GatewayRequest, site: bytes) -> Answer | None:
        """Judge a browser's GET, or its POST from the gateway's own page."""
        host = _strip_port(request.host or b"")
        if not self._is_own_host(host):
            return _not_ours(host)
        return None if request.method in _READS or site in (b"same-origin", b"none") else _refused(b"another site")

    def _is_listed(self, origin: bytes) -> bool:
        origin = origin.lower()
        if self._any or origin in self._exact:
            return True
        return self._pattern is not None and self._pattern.fullmatch(origin) is not None

    def _is_own_host(self, host: bytes) -> bool:
        """Tell if the host is an address, a name that public DNS cannot have, or the host of a listed origin."""
        name = host if host.endswith(b"]") else host.rpartition(b":")[0] or host
        name = name.removesuffix(b".")
        if b"." not in name and b":" not in name and name:
            return True
        try:
            ipaddress.ip_address(name.strip(b"[]").decode("latin-1"))
        except ValueError:
            return name.endswith(_LOCAL) or any(self._is_listed(scheme + host) for scheme in (b"http://", b"https://"))
        return True


def _strip_port(host: bytes) -> bytes:
    """Return the host in lower case, without a default port."""
    return _PORT.sub(b"", host.lower())


def _pattern(origin: str) -> bytes:
    scheme, rest = origin.split("://")
    web = scheme in ("http", "https")
    text = re.escape(rest)
    if web:
        text = text.replace(r"\*\.", r"(?:[a-z0-9_-]+\.)+", 1) if rest.startswith("*.") else text
        text = text.removesuffix(r":\*") + r"(?::[0-9]{1,5})?" if rest.endswith(":*") else text
    else:
        text = r"[a-z0-9._~:-]*"
    return f"(?:{re.escape(scheme)}://{text})".encode()


def _preflight(request: GatewayRequest) -> Answer:
    """Allow any method and any header: the request itself is judged when it comes."""
    headers = [(b"access-control-allow-methods", b"GET, HEAD, POST"), (b"access-control-max-age", b"%d" % MAX_AGE)]
    wanted = request.header(b"access-control-request-headers").strip()
    if _HEADER_NAMES.fullmatch(wanted) and len(wanted) <= 4096:
        headers.append((b"access-control-allow-headers", wanted))
    if request.header(b"access-control-request-private-network") == b"true":
        headers.append((b"access-control-allow-private-network", b"true"))
    return Answer(204, b"", tuple(headers))


def _no_preflight(origin: bytes) -> Answer:
    """Return an answer that allows nothing, with the reason in a header: browsers report it better than a status."""
    return Answer(204, b"", ((b"x-larder-refused", _why(origin).encode()),), code="origin_refused")


def _printable(text: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in text[:100])


def _why(origin: bytes) -> str:
    return f"web pages of {_printable(origin) or 'no origin'} may not ask: larder:gateway.cors.origins does not list it"


def _refused(origin: bytes) -> Answer:
    return error(403, "origin_refused", _why(origin))


def _not_ours(host: bytes) -> Answer:
    message = (
        f"{_printable(host) or 'no host'} is not a known name of this gateway. Browsers reach it by an address, by "
        "localhost, or by the host of an origin in larder:gateway.cors.origins"
    )
    return error(403, "host_refused", message)
