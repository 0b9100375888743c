"""One request as the server side has read it, and the checks that need no more than its head."""

import functools
import re
import time
from collections.abc import Callable, Sequence

from .answer import Answer, error

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, in the order of arrival."""

_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)

_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-f:.%A-Za-z]+\])(?::\d{0,5})?")
"""RFC 9110 7.2, without the comma that would stand for two of them."""
_HOST_BYTES = 300
"""A name of DNS has 253, a port 5."""
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


class Request:
    """Filled while it is read; `status`, `sent`, `model` and `failure` while it is answered."""

    __slots__ = (
        "ahead",
        "body",
        "by_browser",
        "chunked",
        "code",
        "content_length",
        "cors",
        "expects_continue",
        "head_done",
        "headers",
        "host",
        "id",
        "keep_alive",
        "last",
        "method",
        "minor",
        "model",
        "operation",
        "path",
        "place",
        "query",
        "queued",
        "received",
        "refusal",
        "route",
        "rule",
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
        """Bytes of its head, where it came before it was its turn: they take the memory of bodies."""
        self.refusal: Answer | None = None
        self.route: object = None
        """The route that the application found for the path."""
        self.last = False
        """The rest of the connection is not read: close it after the answer."""
        self.by_browser = False
        """It has a header that browsers alone send."""
        self.cors: bytes | None = None
        """Lines of headers for browsers, on whatever the answer is; None until the application has looked."""
        self.yields = False
        """Its connection may make room for another one although it is being answered."""
        self.id = b""
        self.status = 0
        self.sent = 0
        self.model = ""
        self.rule = ""
        """The rule that chose the model, or `default`, if the request left the choice."""
        self.place: object = None
        """The place in which the application counts it while the engine answers it."""
        self.queued = -1.0
        """Seconds that it waited for its model: 0 where that was loaded, less where nobody looked."""
        self.operation = ""
        self.code = ""

    def head_size(self) -> int:
        """Bytes of the target and the headers, with what separates them."""
        return len(self.target) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def seconds(self) -> float:
        """Time since its first byte."""
        return time.monotonic() - self.started

    def header(self, name: bytes) -> bytes:
        """The first value of a header, b'' when it is absent."""
        for key, value in self.headers:
            if key == name:
                return value
        return b""

    def is_json(self) -> bool:
        """Tell if its body is declared as JSON, in whatever case and with whatever parameters."""
        types = [value for name, value in self.headers if name == b"content-type"]
        return len(types) == 1 and types[0].partition(b";")[0].strip().lower() == b"application/json"


def read_head(request: Request, version: str) -> Answer | None:
    """Take path, length and expectation out of the head; the answer to a head that no server should accept."""
    target = request.target.decode("latin-1")
    if not target.startswith("/") and (match := _ABSOLUTE.match(target)):
        target = target[match.end() :]
        target = target if target.startswith("/") else "/" + target
    request.path, _, request.query = target.partition("?")
    if version == "1.0":
        request.minor = 0
    elif version != "1.1":
        return error(505, "http_version", f"HTTP/{version} is not spoken here; use HTTP/1.1")
    for name, value in request.headers:
        check = _CHECKS.get(name)
        if check is not None and (refusal := check(request, value)) is not None:
            return refusal
    if request.host is None and request.minor:
        return error(400, "bad_request", "no Host header; send exactly one")
    if request.chunked and request.content_length is not None:  # somebody before us may go by the other one
        return error(400, "bad_request", "send Transfer-Encoding or Content-Length, not both")
    return None


def _host(request: Request, value: bytes) -> Answer | None:
    if request.host is not None:
        return error(400, "bad_request", "more than one Host header; send exactly one")
    if len(value) > _HOST_BYTES or not _is_host(value):
        return error(400, "bad_request", "the Host header is no host[:port]")
    request.host = value
    return None


@functools.lru_cache(maxsize=64)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def _content_length(request: Request, value: bytes) -> None:
    request.content_length = int(value)  # the parser has refused what is no number, and a second one


def take_id(request: Request, value: bytes) -> None:
    """Take the client's own id if it is fit for a header and a log line."""
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
        return error(417, "expectation_failed", "the only expectation understood is 100-continue")
    request.expects_continue = bool(request.minor)
    return None


def _content_encoding(_request: Request, value: bytes) -> Answer | None:
    # The model field is inside; and a few bytes of gzip unpack to gigabytes in the engine.
    if value.lower() not in (b"", b"identity"):
        return error(415, "unsupported_encoding", "compressed request bodies are not accepted; send the JSON as it is")
    return None


def _browser(request: Request, _value: bytes) -> None:
    # Sec-Fetch-Mode is no such header: fetch() of Node.js sends it.
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
