"""Responses that the gateway writes itself; errors in OpenAI's shape, which `shapes` turns into that of their path."""

import json
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}


def status_line(status: int) -> bytes:
    """`HTTP/1.1 200 OK` with its line end; unregistered codes go without a phrase."""
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response. `code` is what the log and the metrics call the error, '' for none.

    `message` is what an error says, '' where its body has a shape that stays.
    """

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = b"application/json"
    code: str = ""
    message: str = ""

    def encode(self, extra: bytes, *, keep_alive: bool, body: bool = True) -> bytes:
        """The bytes of the response, the lines of `extra` headers last; without the body for HEAD."""
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
    """An error in OpenAI's shape."""
    body = json.dumps(error_object(status, code, message, param)).encode()
    return Answer(status, body, headers, code=code, message=message)


def error_object(status: int, code: str, message: str, param: str | None = None) -> dict[str, dict[str, str | None]]:
    """The object from which OpenAI's clients raise their exceptions."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


def document(content: object, status: int = 200) -> Answer:
    """A JSON document."""
    return Answer(status, json.dumps(content).encode())


RETRY_SOON = ((b"retry-after", b"2"),)
TURNED_AWAY = (b"x-larder-turned-away", b"1")
"""On an answer to a request that was not let in, and may go elsewhere: only gateways hear it from each other."""


def going_away() -> Answer:
    """The answer of a gateway that is about to go."""
    return error(503, "draining", "this gateway is going away; try again", headers=(*RETRY_SOON, TURNED_AWAY))
