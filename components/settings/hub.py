"""larder:hub: where weights are downloaded from."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, WithJsonSchema

from .base import Block

_ENDPOINT = re.compile(r"^https?://[^\s/?#]+(/[^\s?#]*[^\s/?#])?$")


def _endpoint(url: str) -> str:
    if not _ENDPOINT.fullmatch(url):
        msg = "is not a hub. Write http(s)://host without a slash at the end, as in https://huggingface.co."
        raise ValueError(msg)
    if "@" in urlsplit(url).netloc:
        # The endpoint ends up in a ConfigMap. The value itself is not repeated: it holds a secret.
        msg = "must not hold a user or password: it is written into a ConfigMap."
        raise ValueError(msg)
    try:
        port_is_valid = urlsplit(url).port != 0
    except ValueError:
        port_is_valid = False
    if not port_is_valid:
        msg = "has a port that is none. Write http(s)://host:1…65535."
        raise ValueError(msg)
    return url


class Hub(Block):
    """The hub that speaks Hugging Face's protocol."""

    endpoint: Annotated[
        str, AfterValidator(_endpoint), WithJsonSchema({"type": "string", "pattern": _ENDPOINT.pattern})
    ] = "https://huggingface.co"
    """Base URL of the hub or of a mirror."""
