"""Responses that the gateway writes itself. Errors have OpenAI's shape, which `shapes` converts by path."""

import json
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}


def status_line(status: int) -> bytes:
    """Return the status line with its line end, as `HTTP/1.1 200 OK`; unregistered codes have no phrase."""
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response. `code` is the error's name in the log and the metrics, '' for none.

    `message` is the text of an error, '' if the shape of its body is final.
    """

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = b"application/json"
    code: str = ""
    message: str = ""

    def encode(self, extra: bytes, *, keep_alive: bool, body: bool = True) -> bytes:
        """Return the bytes of the response, the `extra` header lines last; without the body for HEAD."""
        lines = [status_line(self.status), b"date: ", formatdate(usegmt=True).encode()]
        no_content = self.status == HTTPStatus.NO_CONTENT
        if not no_content:
            lines += [b"\r\ncontent-type: ", self.content_type]
        for name, value in self.headers:
            lines += [b"\r\n", name, b": ", value]
        lines += [b"\r\n", extra]
        if not no_content:  # RFC 9110 8.6
            lines.append(b"content-length: %d\r\n" % len(self.body))
        lines.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
        if body:
            lines.append(self.body)
        return b"".join(lines)


def error(
    status: int, code: str, message: str, *, param: str | None = None, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Answer:
    """Return an error in OpenAI's shape."""
    body = json.dumps(error_object(status, code, message, param)).encode()
    return Answer(status, body, headers, code=code, message=message)


def error_object(status: int, code: str, message: str, param: str | None = None) -> dict[str, dict[str, str | None]]:
    """Return the object from which OpenAI's clients raise their exceptions."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


def document(content: object, status: int = 200) -> Answer:
    """Return a JSON document."""
    return Answer(status, json.dumps(content).encode())


RETRY_SOON = ((b"retry-after", b"2"),)
TURNED_AWAY = (b"x-larder-turned-away", b"1")
"""Header of an answer to a request that was not admitted and may go elsewhere; only gateways receive it."""


def going_away() -> Answer:
    """Return the answer of a gateway that is shutting down."""
    return error(503, "draining", "this gateway is shutting down. Fix: try again", headers=(*RETRY_SOON, TURNED_AWAY))
