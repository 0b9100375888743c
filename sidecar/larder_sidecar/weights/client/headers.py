"""Values of headers of an answer."""

import re

import urllib3

_COMPRESSIONS = {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"}
"""Codings that change bytes. Others do not: storages repeat `aws-chunked`, with which an object was uploaded."""


def parse_size(text: str) -> int | None:
    """Return the size in a header; None for text that is no number, or has more digits than any size."""
    digits = text.strip(" \t")
    return int(digits) if re.fullmatch(r"[0-9]{1,18}", digits) else None


def compression(response: urllib3.BaseHTTPResponse) -> str:
    """Return the compression of a body, which we never ask for; empty if there is none."""
    names = response.headers.get("Content-Encoding", "").lower().split(",")
    return ",".join(name.strip() for name in names if name.strip() in _COMPRESSIONS)
