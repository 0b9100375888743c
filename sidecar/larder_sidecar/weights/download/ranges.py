"""Ranges of a file in requests and answers, and the ETag that they belong to."""

import re

import urllib3

from ..client.headers import compression
from .partial import Part
from .pieces import Piece


def range_headers(part: Part, piece: Piece) -> dict[str, str]:
    """Return the headers that request a piece; none for the whole file."""
    if piece.start == 0 and part.pieces == 1:
        return {}
    asked = {"Range": f"bytes={piece.start}-{piece.stop - 1}"}
    return asked | ({"If-Range": part.etag} if part.etag else {})


def parse_range_end(response: urllib3.BaseHTTPResponse, piece: Piece, size: int) -> int | None:
    """Return the end of a partial answer; None for another answer, or another beginning than the piece's."""
    text = response.headers.get("Content-Range", "").strip()
    found = re.fullmatch(rf"bytes[ =]+{piece.start}-(\d{{1,18}})/({size}|\*)", text, re.IGNORECASE)
    if response.status != 206 or compression(response) or found is None or not piece.start <= int(found[1]) < size:
        return None
    return min(int(found[1]) + 1, piece.stop)


def strong_etag(response: urllib3.BaseHTTPResponse) -> str | None:
    """Return the ETag if it is a strong one: If-Range takes no other (RFC 9110 13.1.5)."""
    etag = response.headers.get("ETag")
    return etag if etag and re.fullmatch(r'"[!-~]{0,200}"', etag) else None
