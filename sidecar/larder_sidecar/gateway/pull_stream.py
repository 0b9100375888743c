"""The answer to a pull: NDJSON, one line per event. An error before the first line is a status."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from email.utils import formatdate

from ..http.answer import Answer, status_line
from ..http.request import Request
from ..http.server import ServerConnection

Line = Mapping[str, object]


def refusal(
    status: int, message: str, *, headers: tuple[tuple[bytes, bytes], ...] = (), more: Line | None = None
) -> Answer:
    """Return an error in the format of the download service."""
    body = {"status": "error", "error": message, **(more or {})}
    return Answer(status, json.dumps(body).encode(), headers, code=f"pull_{status}")


class PullStream:
    """A client that follows a pull."""

    def __init__(self, client: ServerConnection, request: Request, extra: bytes) -> None:
        self._client, self._request, self._extra = client, request, extra
        self._begun = self._chunked = self._keep = False
        self._task: asyncio.Task[None] | None = None
        self.left: Callable[[], None] = lambda: None
        """Callback for when the client goes."""
        client.deadline = float("inf")  # the pull has bounds of its own

    def asking(self, answer: Coroutine[object, object, Answer]) -> "PullStream":
        """Answer with the result of the coroutine."""

        async def ask() -> None:
            self._client.answer(self._request, await answer)

        self._task = self._client.loop.create_task(ask())
        return self

    def tell(self, line: Line) -> None:
        """Send one line, after the head if it is the first."""
        data = json.dumps(line).encode() + b"\n"
        if self._chunked or not self._begun:
            head = b"" if self._begun else self._head()
            data = head + (b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        self._client.write(data)

    def finish(self, line: Line) -> None:
        """Send the last line."""
        self.tell(line)
        if self._chunked:
            self._client.write(b"0\r\n\r\n")
        self._client.finish(keep=self._keep)

    def fail(self, status: int, message: str) -> None:
        """Answer with that status, or with an error line if the 200 is sent already."""
        if not self._begun:
            self._client.answer(self._request, refusal(status, message))
            return
        self._request.code = f"pull_{status}"
        self.finish({"status": "error", "error": message})

    def _head(self) -> bytes:
        self._begun = True
        self._request.status = 200
        self._keep, self._chunked = self._client.keeps(self._request), bool(self._request.minor)
        self._keep = self._keep and self._chunked
        lines = [status_line(200), b"content-type: application/x-ndjson\r\ncache-control: no-cache\r\n"]
        lines += [b"date: %b\r\n" % formatdate(usegmt=True).encode(), b"x-accel-buffering: no\r\n", self._extra]
        lines.append(b"transfer-encoding: chunked\r\n" if self._chunked else b"")
        lines.append(b"\r\n" if self._keep else b"connection: close\r\n\r\n")
        return b"".join(lines)

    # --- the protocol of a responder

    def client_gone(self) -> None:
        """Call `left`; the pull goes on."""
        self.left()
        if self._task is not None:
            self._task.cancel()

    def pause(self) -> None:
        """Do nothing: a line every other second fills no buffer."""

    def resume(self) -> None:
        """Do nothing: the connection has set a new deadline, and `expire` clears it."""

    def expire(self) -> None:
        """Clear the deadline: the pull has its own time limit."""
        self._client.deadline = float("inf")
