"""URLs that every parser reads alike. Settings, plans, catalogs and the answers of hosts may hold no others.

Parsers differ about a user before the host, a backslash, blanks, control characters, % codes and letters outside ASCII:
one finds another host than the next, and the one that judges is not always the one that connects.
"""

import re
from ipaddress import IPv6Address
from typing import NamedTuple

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)")
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([^:\]]*))?")


class UrlError(ValueError):
    """The error for text that is no URL, or one that parsers read in different ways. Its words go behind "it"."""


class UserError(UrlError):
    """The error for a URL with a user or password before the host."""


class PortError(UrlError):
    """The error for a port that is not a number from 1 to 65535."""


class Authority(NamedTuple):
    """Scheme, host and port of a URL. `scheme` and `host` are in lower case; an IPv6 address has no brackets."""

    scheme: str
    host: str
    port: int | None


def authority(url: str) -> Authority:
    """Read scheme, host and port of a URL. Raises UrlError."""
    if _AMBIGUOUS.search(url):
        raise UrlError("contains a blank, a backslash or a control character")
    found = _URL.match(url)
    if found is None or not found[2]:
        raise UrlError("has no host")
    if "@" in found[2]:
        raise UserError("holds a user or password")
    host = _HOST.fullmatch(found[2])
    if host is None or (host[1].startswith("[") and not _is_ipv6(host[1][1:-1])):
        raise UrlError("has a host that is neither a name nor an address in ASCII")
    port = host[2] or None
    if port is not None and not (re.fullmatch(r"0{0,9}[1-9][0-9]{0,4}", port) and int(port) < 65536):
        raise PortError("has a port outside 1-65535")
    return Authority(found[1].lower(), host[1].strip("[]").lower(), int(port) if port else None)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
