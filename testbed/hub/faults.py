"""Faults of a hub under test; chosen by the code that constructs the hub, never by a request."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Faults:
    """Faults, all off by default."""

    refuse: tuple[int, str | None] | None = None
    """Answer every resolve request with this status and X-Error-Code."""
    gather: int = 0
    """Answer no GET until that many files are requested at once."""
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
    """Send chunked bodies whose first chunk header never ends."""
    bytes_per_second: int | None = None
    garbage: bool = False
    """Send bodies of the right size with wrong content."""
    short_by: int = 0
    """Announce and send that many bytes fewer than metadata says."""
    wrong_commit: str | None = None
    """X-Repo-Commit of every answer."""
    no_ranges: bool = False
    """Ignore Range: always 200 with everything."""
    no_ranges_beyond: int | None = None
    """Ignore a Range that begins after that byte, as one of several mirrors may."""
    short_ranges: int | None = None
    """Answer ranges with at most that many bytes, and a matching Content-Range."""
    wrong_span: bool = False
    """Send a Content-Range for another position in every partial answer."""
    changes_at: int | None = None
    """Send another ETag for ranges that begin after that byte, regardless of If-Range."""
    no_linked_etag: bool = False
    """Send metadata without a sha256, as for a file outside LFS."""
    etag: str | None = None
    """ETag of bodies, which replaces the sha256."""
    redirect: str | None = None
    """Redirect GETs (302) to this base URL plus the path, as a hub does to its CDN."""
    metadata_redirect: str | None = None
    """Redirect HEADs (302) to this base URL without metadata, as a captive portal does."""
