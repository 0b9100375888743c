"""Values of headers, as an answer has them."""

import re

import urllib3

_COMPRESSIONS = {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"}
"""Other words change no byte: storages repeat `aws-chunked`, by which an object was sent to them."""


def whole(text: str) -> int | None:
    """The number in a header; None where it is none, or has more digits than any size."""
    digits = text.strip(" \t")
    return int(digits) if re.fullmatch(r"[0-9]{1,18}", digits) else None


def encoding(response: urllib3.BaseHTTPResponse) -> str:
    """Name the compression of a body, which nobody asked for; empty where there is none."""
    names = response.headers.get("Content-Encoding", "").lower().split(",")
    return ",".join(name.strip() for name in names if name.strip() in _COMPRESSIONS)
