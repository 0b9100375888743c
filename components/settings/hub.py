"""larder:hub: where weights are downloaded from."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, WithJsonSchema

from .base import Block

_ENDPOINT = re.compile(r"^https?://[^\s/?#]{1,300}(/[^\s?#]{0,300}[^\s/?#])?$")
"""Short enough that the URL of a file stays within what the sidecar takes."""


def _endpoint(url: str) -> str:
    # The value itself is never repeated: it may hold a secret.
    host = _host(url) if _ENDPOINT.fullmatch(url) else None
    if not host:
        msg = "is not a hub. Write http(s)://host without a slash at the end, as in https://huggingface.co."
        raise ValueError(msg)
    if "@" in urlsplit(url).netloc:
        msg = "must not hold a user or password: it is written into a ConfigMap."
        raise ValueError(msg)
    if host == "localhost" or host.startswith("127.") or host in ("::1", "::", "0.0.0.0"):  # noqa: S104 (refused)
        msg = "is the pod that fetches, not this machine. Write a host that pods reach."
        raise ValueError(msg)
    try:
        port_is_valid = urlsplit(url).port != 0
    except ValueError:
        port_is_valid = False
    if not port_is_valid:
        msg = "has a port that is none. Write http(s)://host:1…65535."
        raise ValueError(msg)
    return url


def _host(url: str) -> str | None:
    """The host, where it is a name or an address; a zone means nothing to another machine."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # brackets without an address
        return None
    return host if re.fullmatch(r"[a-z0-9]([a-z0-9_.-]*[a-z0-9])?|[0-9a-f:]*:[0-9a-f:.]*", host) else None


class Hub(Block):
    """The hub that speaks Hugging Face's protocol."""

    endpoint: Annotated[
        str, AfterValidator(_endpoint), WithJsonSchema({"type": "string", "pattern": _ENDPOINT.pattern})
    ] = "https://huggingface.co"
    """Base URL of the hub or of a mirror."""
