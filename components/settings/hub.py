"""larder:hub: the hub that weights are downloaded from."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from larder_sidecar.config.url import PortError, UrlError, UserError, authority
from pydantic import AfterValidator, WithJsonSchema

from .base import Block

_ENDPOINT = re.compile(r"^https?://[^\s/?#]{1,300}(/[^\s?#]{0,300}[^\s/?#])?$")
"""Grammar of an endpoint. Its length keeps the URL of a file within the sidecar's limit."""
_HOST = re.compile(r"[a-z0-9]([a-z0-9_.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")


def _endpoint(url: str) -> str:
    # The value itself is never repeated: it may hold a secret.
    msg = "is not the URL of a hub. Fix: write http(s)://host without a slash at the end, as in https://huggingface.co."
    try:
        _, host, _ = authority(url)
    except UserError:
        msg = "holds a user or password, and it is written into a ConfigMap. Fix: remove them."
        raise ValueError(msg) from None
    except PortError:
        msg = "the port is out of range. Fix: use a port from 1 to 65535."
        raise ValueError(msg) from None
    except UrlError:
        raise ValueError(msg) from None
    if not _ENDPOINT.fullmatch(url) or not _HOST.fullmatch(host):
        raise ValueError(msg)
    if _is_loopback(host):
        msg = "is a loopback address, which leads a pod to itself. Fix: write a host that pods reach."
        raise ValueError(msg)
    return url


def _is_loopback(host: str) -> bool:
    """Tell if a host is a loopback address in any spelling that resolvers take, 127.1 and 0x7f.1 included."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = IPv6Address(host) if ":" in host else IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback or (mapped or address).is_unspecified


class Hub(Block):
    """A hub that speaks Hugging Face's protocol."""

    endpoint: Annotated[
        str, AfterValidator(_endpoint), WithJsonSchema({"type": "string", "pattern": _ENDPOINT.pattern})
    ] = "https://huggingface.co"
    """Base URL of a hub that speaks Hugging Face's protocol, as pods reach it; without a user and a password."""
