"""`cors` of gateway.json: the origins whose web pages may ask."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field

from .base import Model

ANY = "*"
_PARTS = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)([/?#].*)?", re.IGNORECASE | re.DOTALL)
_WEB = re.compile(r"(?P<host>(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[^:]*))?")
_APP = re.compile(r"\*|[A-Za-z0-9._~-]+(?::\d{1,5})?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def _origin(text: str) -> str:
    if text == ANY:
        return text
    if text == "null":
        msg = "null is what every sandboxed page and local file sends. Fix: serve the page from an origin of its own."
        raise ValueError(msg)
    match = _PARTS.fullmatch(text)
    if match is None:
        msg = f"{text!r} has no scheme. Fix: write scheme://host[:port], as browsers send it."
        raise ValueError(msg)
    scheme, rest, path = match[1].lower(), match[2], match[3]
    if path:
        msg = f"an origin has no path. Fix: write {scheme}://{rest}."
        raise ValueError(msg)
    if scheme not in _DEFAULT_PORTS:  # an application's own: vscode-webview://*, tauri://localhost
        if not _APP.fullmatch(rest):
            msg = f"{text!r} has no host that can be compared. Fix: write {scheme}://* for all of the scheme."
            raise ValueError(msg)
        return f"{scheme}://{rest.lower()}"
    return f"{scheme}://{_authority(scheme, rest)}"


def _authority(scheme: str, text: str) -> str:
    match = _WEB.fullmatch(text)
    if match is None:
        msg = f"{text!r} is not host[:port]. Fix: use * only as its first label, as in https://*.example.com."
        raise ValueError(msg)
    host, port = match["host"].lower(), match["port"]
    if host.startswith("*."):
        if host.count(".") < 2 and host != "*.localhost":
            msg = f"{host} means all names of a top-level domain. Fix: write two labels after the *."
            raise ValueError(msg)
        if host.rpartition(".")[2].isdigit():
            msg = f"{host} is not a host: an address has no subdomains. Fix: list the addresses."
            raise ValueError(msg)
    if host.startswith("["):
        ipaddress.IPv6Address(host[1:-1])
    if port is not None and port != ANY and not (port.isdecimal() and port.isascii() and 0 < int(port) <= 65_535):
        msg = f"the port must be 1-65535, or * for all, not {port!r}."
        raise ValueError(msg)
    return host if port in (None, _DEFAULT_PORTS[scheme]) else f"{host}:{port}"


Origin = Annotated[str, Field(max_length=300), AfterValidator(_origin)]
"""`scheme://host[:port]`; `*.` before a host stands for all names below it, port `*` for every port."""


def _any_stands_alone(origins: list[str]) -> list[str]:
    if ANY in origins and len(origins) > 1:
        msg = "'*' already means every origin. Fix: remove it, or the other origins."
        raise ValueError(msg)
    return origins


Origins = Annotated[list[Origin], Field(max_length=100), AfterValidator(_any_stands_alone)]


class Cors(Model):
    """Web pages whose requests are answered. Clients that are not browsers need not be listed."""

    origins: Origins = Field(default=[])
    """Pages of these origins may send any request and read the answers; `*` alone means every page of the web."""


def open_to_all(cors: Cors, mutations: str) -> str | None:
    """Return the problem of a gateway on which every web page of the world may change something, None for others."""
    if ANY in cors.origins and mutations == "open":
        return (
            "'*' lets any web page load, unload and pull models while auth.mutations is 'open'. Fix: list the origins"
        )
    return None
