"""Proxies: HTTPS_PROXY, HTTP_PROXY and NO_PROXY."""

import base64
import re
import urllib.request
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote_to_bytes

import urllib3

from ...config.url import UrlError
from ..errors import DeniedError, HubError, TransientError
from .address import Address, parse_address

MAX_IDLE = 8
"""Idle connections that are kept to one host."""
_CHECK = "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."


def proxy_for(address: Address) -> str | None:
    """Return the value of the variable for `address`, which may hold a password; None without a proxy."""
    variables = urllib.request.getproxies()
    return None if _bypasses(address, variables.get("no", "")) else variables.get(address.scheme)


def _bypasses(address: Address, no_proxy: str) -> bool:
    """Return True if NO_PROXY lists an address, as golang.org/x/net/http/httpproxy, curl(1) and requests read it.

    If they differ, the wider reading counts: `.example` matches `example` too, and `*` may be one of several entries.
    """
    host = address.host.rstrip(".")
    ip = _ip(host)
    return any(_matches(entry, host, ip, address.port) for entry in re.split(r"[\s,]+", no_proxy.lower()) if entry)


def _matches(entry: str, host: str, ip: IPv4Address | IPv6Address | None, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        block = _block(entry)
        return block is not None and ip is not None and ip.version == block.version and ip in block
    name, wanted = _split(entry)
    if wanted not in ("", str(port)):
        return False
    if ip is not None:
        return _ip(name) == ip
    name = name.rstrip(".")
    if name.startswith("*."):
        return host.endswith(name[1:])
    name = name.lstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _split(entry: str) -> tuple[str, str]:
    """Split an entry into host and port; an IPv6 address without a port needs no brackets."""
    if _ip(entry) is not None:
        return entry, ""
    found = re.fullmatch(r"(\[.*\]|[^:]*):0*([0-9]+)", entry)
    return (found[1], found[2]) if found else (entry, "")


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _block(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return None


def proxy_manager(proxy: str) -> urllib3.ProxyManager:
    """Return a pool that connects through `proxy`: user:password@host:port, http:// optional. Raises HubError."""
    scheme = re.match(r"[A-Za-z0-9+.-]+://", proxy)
    rest = proxy[scheme.end() :] if scheme else proxy
    credentials, _, place = re.split(r"[/?#]", rest)[0].rpartition("@")
    try:
        address = parse_address(f"{scheme[0] if scheme else 'http://'}{place}")
    except UrlError:  # the value is not quoted: it may hold a password
        raise HubError(
            "HTTPS_PROXY or HTTP_PROXY is not the URL of a proxy",
            "Write http://user:password@host:port, with % codes for special characters in user and password.",
        ) from None
    headers = {}
    if credentials:  # urllib3 does not read them
        pair = b":".join(unquote_to_bytes(text) for text in credentials.split(":", 1))
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return urllib3.ProxyManager(address.url, proxy_headers=headers, maxsize=MAX_IDLE)


def credentials_error(url: str) -> HubError:
    """Return the error for 407, which only a proxy answers."""
    return DeniedError(
        f"{url}: the proxy{describe_proxy(url, ' {}')} refuses the credentials (407)",
        "Write user:password@ into HTTPS_PROXY and HTTP_PROXY, with % codes for special characters.",
    )


def proxy_error(url: str, error: Exception) -> HubError:
    """Return the error for a proxy that cannot be reached or makes no tunnel; its own message is not repeated."""
    status = re.match(r"Tunnel connection failed: (\d{3})\b", str(error))
    if status and status[1] == "407":
        return credentials_error(url)
    if status:
        reason = f"the proxy answers {status[1]}{describe_proxy(url, ' ({})')}"
        return TransientError(f"{url}: {reason}", f"Allow this host in the proxy. {_CHECK}")
    return TransientError(f"{url}: cannot connect through the proxy{describe_proxy(url, ' {}')}", _CHECK)


def describe_proxy(url: str, template: str) -> str:
    """Format host and port of the proxy for a URL with `template`; empty if there is none, or it cannot be parsed."""
    try:
        way = proxy_for(parse_address(url)) or ""
    except UrlError:
        return ""
    place = re.split(r"[/?#]", way.rpartition("://")[2])[0].rpartition("@")[2]
    return template.format(place) if re.fullmatch(r"[A-Za-z0-9.:\[\]_-]{1,100}", place) else ""
