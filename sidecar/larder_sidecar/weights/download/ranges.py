"""Ranges of a file, as a download asks for them and gets them, and the ETag that they belong to."""

import re

import urllib3

from .partial import Part
from .pieces import Piece

_COMPRESSIONS = {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"}
"""Other words change no byte: storages repeat `aws-chunked`, by which an object was sent to them."""


def asked_range(part: Part, piece: Piece) -> dict[str, str]:
    """The headers that ask for a piece; none for the whole file."""
    if piece.start == 0 and part.pieces == 1:
        return {}
    asked = {"Range": f"bytes={piece.start}-{piece.stop - 1}"}
    return asked | ({"If-Range": part.etag} if part.etag else {})


def span(response: urllib3.BaseHTTPResponse, piece: Piece, size: int) -> int | None:
    """Return the end of a partial answer; None where it is none, or not from the beginning of the piece."""
    text = response.headers.get("Content-Range", "").strip()
    told = re.fullmatch(rf"bytes[ =]+{piece.start}-(\d{{1,18}})/({size}|\*)", text, re.IGNORECASE)
    if response.status != 206 or encoding(response) or told is None or not piece.start <= int(told[1]) < size:
        return None
    return min(int(told[1]) + 1, piece.stop)


def strong_etag(response: urllib3.BaseHTTPResponse) -> str | None:
    """The ETag where it is a strong one: only such may stand in If-Range (RFC 9110 13.1.5)."""
    etag = response.headers.get("ETag")
    return etag if etag and re.fullmatch(r'"[!-~]{0,200}"', etag) else None


def encoding(response: urllib3.BaseHTTPResponse) -> str:
    """Name the compression of a body, which nobody asked for; empty where there is none."""
    names = response.headers.get("Content-Encoding", "").lower().split(",")
    return ",".join(name.strip() for name in names if name.strip() in _COMPRESSIONS)
