"""The proxy between us and a hub, as HTTPS_PROXY, HTTP_PROXY and NO_PROXY name it."""

import base64
import re
import urllib.request
from urllib.parse import unquote_to_bytes, urlsplit

import urllib3

from .errors import DeniedError, HubError, TransientError

_KEPT = 8
"""Idle connections that are kept to one host, for as many who may ask it at once."""
_CHECK = "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."


def proxy_for(url: str) -> str | None:
    """The value of the variable that stands for `url`; it may hold a password."""
    parts = urlsplit(url)
    bypassed = urllib.request.proxy_bypass(parts.hostname or "")
    return None if bypassed else urllib.request.getproxies().get(parts.scheme)


def connections(proxy: str | None) -> urllib3.PoolManager:
    """Connections through `proxy`, as `user:password@host:port` with or without http://. Raises HubError."""
    if proxy is None:
        return urllib3.PoolManager(maxsize=_KEPT)
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # no port, or half an IPv6 address
        usable = False
    if not usable:  # not quoted: it may hold a password
        raise HubError(
            "HTTPS_PROXY or HTTP_PROXY names no proxy that can be used",
            "http://user:password@host:port is expected, with % codes for special characters in user and password.",
        )
    credentials, _, place = parts.netloc.rpartition("@")
    headers = {}
    if credentials:  # urllib3 does not read them
        pair = b":".join(unquote_to_bytes(text) for text in credentials.split(":", 1))
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return urllib3.ProxyManager(f"{parts.scheme}://{place}", proxy_headers=headers, maxsize=_KEPT)


def denied(where: str) -> HubError:
    """The error for 407, which only a proxy answers."""
    return DeniedError(
        f"{where}: the proxy asks for other credentials (407)",
        "Put user:password@ into HTTPS_PROXY and HTTP_PROXY, with % codes for special characters.",
    )


def refusal(where: str, error: Exception) -> HubError:
    """The error for a proxy that cannot be reached or makes no tunnel; what it said stays with it."""
    status = re.match(r"Tunnel connection failed: (\d{3})\b", str(error))
    if status and status[1] == "407":
        return denied(where)
    reason = f"the proxy answers {status[1]}" if status else "cannot get through the proxy"
    return TransientError(f"{where}: {reason}", _CHECK)
