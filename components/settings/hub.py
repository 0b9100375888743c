"""larder:hub: where weights are downloaded from."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from larder_sidecar.config.url import PortError, UrlError, UserError, authority
from pydantic import AfterValidator, WithJsonSchema

from .base import Block

_ENDPOINT = re.compile(r"^https?://[^\s/?#]{1,300}(/[^\s?#]{0,300}[^\s/?#])?$")
"""Short enough that the URL of a file stays within what the sidecar takes."""
_HOST = re.compile(r"[a-z0-9]([a-z0-9_.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")


def _endpoint(url: str) -> str:
    # The value itself is never repeated: it may hold a secret.
    msg = "is not a hub. Write http(s)://host without a slash at the end, as in https://huggingface.co."
    try:
        _, host, _ = authority(url)
    except UserError:
        msg = "must not hold a user or password: it is written into a ConfigMap."
        raise ValueError(msg) from None
    except PortError:
        msg = "has a port that is none. Write http(s)://host:1…65535."
        raise ValueError(msg) from None
    except UrlError:
        raise ValueError(msg) from None
    if not _ENDPOINT.fullmatch(url) or not _HOST.fullmatch(host):
        raise ValueError(msg)
    if _is_loopback(host):
        msg = "is the pod that fetches, not this machine. Write a host that pods reach."
        raise ValueError(msg)
    return url


def _is_loopback(host: str) -> bool:
    """Tell if a host is the machine that asks, in any spelling that resolvers take: 127.1 and 0x7f.1 among them."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = IPv6Address(host) if ":" in host else IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback or (mapped or address).is_unspecified


class Hub(Block):
    """The hub that speaks Hugging Face's protocol."""

    endpoint: Annotated[
        str, AfterValidator(_endpoint), WithJsonSchema({"type": "string", "pattern": _ENDPOINT.pattern})
    ] = "https://huggingface.co"
    """Base URL of a hub that speaks Hugging Face's protocol, as pods reach it; without a user and a password."""
