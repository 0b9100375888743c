"""One request as the server side has read it, and the checks of its head."""

import functools
import re
import time
from collections.abc import Callable, Sequence

from .answer import Answer, error

Headers = Sequence[tuple[bytes, bytes]]
"""Name and value pairs, names in lower case, in the order of arrival."""

_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)

_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-f:.%A-Za-z]+\])(?::\d{0,5})?")
"""RFC 9110 7.2, without the comma, which would separate two hosts."""
_HOST_BYTES = 300
"""Limit in bytes: a DNS name has 253, a port 5."""
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


class Request:
    """One request as HTTP has it. `status`, `sent` and `code` are set while it is answered.

    An application may have a class of its own, with what it finds out about the request.
    """

    __slots__ = (
        "ahead",
        "body",
        "by_browser",
        "chunked",
        "code",
        "content_length",
        "expects_continue",
        "head_done",
        "headers",
        "host",
        "id",
        "keep_alive",
        "last",
        "method",
        "minor",
        "path",
        "query",
        "received",
        "refusal",
        "sent",
        "started",
        "status",
        "target",
        "yields",
    )

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.method = ""
        self.target = b""
        self.path = ""
        self.query = ""
        self.minor = 1
        self.headers: list[tuple[bytes, bytes]] = []
        self.host: bytes | None = None
        self.keep_alive = True
        self.expects_continue = False
        self.content_length: int | None = None
        self.chunked = False
        self.head_done = False
        self.body = b""
        self.received = 0
        self.ahead = 0
        """Bytes of its head if it came before its turn; they count as memory of bodies."""
        self.refusal: Answer | None = None
        self.last = False
        """True if the rest of the connection is not read: close it after the answer."""
        self.by_browser = False
        """True if it has a header that only browsers send."""
        self.yields = False
        """True if its connection may make room for another one during the answer."""
        self.id = b""
        self.status = 0
        self.sent = 0
        self.code = ""
        """Reason of its outcome, in one word, for logs and metrics; empty if its status says all."""

    def log_members(self) -> str:
        """Return what the application adds to its line of log, as members of JSON, each after a comma."""
        return ""

    def forget_choice(self) -> None:
        """Drop what the application found out, after a failure: the headers of the next answer must not fail too."""

    def head_size(self) -> int:
        """Return the bytes of the target and the headers, with separators."""
        return len(self.target) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def seconds(self) -> float:
        """Return the time since its first byte."""
        return time.monotonic() - self.started

    def header(self, name: bytes) -> bytes:
        """Return the first value of a header, b'' if it is absent."""
        for key, value in self.headers:
            if key == name:
                return value
        return b""

    def is_json(self) -> bool:
        """Tell if its body is declared as JSON, in any case and with any parameters."""
        types = [value for name, value in self.headers if name == b"content-type"]
        return len(types) == 1 and types[0].partition(b";")[0].strip().lower() == b"application/json"


def read_head(request: Request, version: str) -> Answer | None:
    """Take path, length and expectation out of the head; return the answer to an invalid head."""
    target = request.target.decode("latin-1")
    if not target.startswith("/") and (match := _ABSOLUTE.match(target)):
        target = target[match.end() :]
        target = target if target.startswith("/") else "/" + target
    request.path, _, request.query = target.partition("?")
    if version == "1.0":
        request.minor = 0
    elif version != "1.1":
        return error(505, "http_version", f"HTTP/{version} is not supported. Fix: use HTTP/1.1")
    for name, value in request.headers:
        check = _CHECKS.get(name)
        if check is not None and (refusal := check(request, value)) is not None:
            return refusal
    if request.host is None and request.minor:
        return error(400, "bad_request", "the request has no Host header. Fix: send one")
    if request.chunked and request.content_length is not None:  # a proxy before us may use the other one
        return error(400, "bad_request", "the request has Transfer-Encoding and Content-Length. Fix: send one of them")
    return None


def _host(request: Request, value: bytes) -> Answer | None:
    if request.host is not None:
        return error(400, "bad_request", "the request has more than one Host header. Fix: send one")
    if len(value) > _HOST_BYTES or not _is_host(value):
        return error(400, "bad_request", "the Host header is not host[:port]")
    request.host = value
    return None


@functools.lru_cache(maxsize=64)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def _content_length(request: Request, value: bytes) -> None:
    request.content_length = int(value)  # the parser has refused other text, and a second one


def take_id(request: Request, value: bytes) -> None:
    """Take the client's own id if it is valid in a header and a log line."""
    if not request.id and _SANE_ID.fullmatch(value):
        request.id = value


def _transfer_encoding(request: Request, value: bytes) -> Answer | None:
    # Another coding would reach the engine without the header that explains it; in HTTP/1.0 the framing is undefined.
    if value.lower() != b"chunked" or not request.minor or request.chunked:
        return error(400, "bad_request", "Transfer-Encoding must be `chunked`, once, in HTTP/1.1")
    request.chunked = True
    return None


def _expect(request: Request, value: bytes) -> Answer | None:
    if value.lower() != b"100-continue":
        return error(
            417, "expectation_failed", "the expectation is not supported. Fix: send Expect: 100-continue, or none"
        )
    request.expects_continue = bool(request.minor)
    return None


def _content_encoding(_request: Request, value: bytes) -> Answer | None:
    # The model field is in it, and a few bytes of gzip unpack to gigabytes in the engine.
    if value.lower() not in (b"", b"identity"):
        return error(
            415, "unsupported_encoding", "compressed bodies are not supported. Fix: send the JSON uncompressed"
        )
    return None


def _browser(request: Request, _value: bytes) -> None:
    # Sec-Fetch-Mode does not count: fetch() of Node.js sends it.
    request.by_browser = True


_CHECKS: dict[bytes, Callable[[Request, bytes], Answer | None]] = {
    b"host": _host,
    b"content-length": _content_length,
    b"x-request-id": take_id,
    b"origin": _browser,
    b"sec-fetch-site": _browser,
    b"transfer-encoding": _transfer_encoding,
    b"expect": _expect,
    b"content-encoding": _content_encoding,
}
