"""Faults of a hub under test; chosen by the code that constructs the hub, never by a request."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Faults:
    """Everything off by default."""

    refuse: tuple[int, str | None] | None = None
    """Answer every resolve request with this status and X-Error-Code."""
    gather: int = 0
    """Answer no GET before that many files are asked for at once."""
    busy: int = 0
    """Answer the first that many GETs with 503."""
    cut_after: int | None = None
    """Close the connection after that many bytes of a body."""
    cuts: int = 1_000_000
    """Number of bodies that `cut_after` applies to."""
    stall_after: int | None = None
    """Send nothing beyond that byte of the file, with the connection open, until the hub has other faults."""
    trickle: bool = False
    """After `stall_after`, send one byte every 50 ms instead of nothing."""
    endless_chunk: bool = False
    """Bodies in chunks, of which the first never gets to the end of its own head."""
    bytes_per_second: int | None = None
    garbage: bool = False
    """Bodies of the right size and the wrong content."""
    short_by: int = 0
    """Announce and send that many bytes fewer than metadata says."""
    wrong_commit: str | None = None
    """X-Repo-Commit of every answer."""
    no_ranges: bool = False
    """Ignore Range: always 200 with everything."""
    no_ranges_beyond: int | None = None
    """Ignore Range where it begins behind that byte, as a mirror among others may."""
    short_ranges: int | None = None
    """Answer ranges with that many bytes at the most, saying so."""
    wrong_span: bool = False
    """Content-Range of every partial answer names another place than was asked for."""
    changes_at: int | None = None
    """Ranges that begin behind that byte carry another ETag, whatever If-Range says."""
    no_linked_etag: bool = False
    """Metadata without a sha256, as for a file outside LFS."""
    etag: str | None = None
    """ETag of bodies, in place of the sha256."""
    redirect: str | None = None
    """302 of GETs to this base URL, as a hub sends to its CDN; the path is appended."""
    metadata_redirect: str | None = None
    """302 of HEADs to this base URL without any metadata, as a captive portal sends."""
