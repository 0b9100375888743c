"""The answer to a pull: NDJSON, a line whenever something happened; an error before the first line is a status."""

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
    """An error as clients of the download service know it."""
    body = {"status": "error", "error": message, **(more or {})}
    return Answer(status, json.dumps(body).encode(), headers, code=f"pull_{status}")


class PullStream:
    """One client that follows a pull."""

    def __init__(self, client: ServerConnection, request: Request, extra: bytes) -> None:
        self._client, self._request, self._extra = client, request, extra
        self._begun = self._chunked = self._keep = False
        self._task: asyncio.Task[None] | None = None
        self.left: Callable[[], None] = lambda: None
        """Called when the client goes."""
        client.deadline = float("inf")  # the pull has bounds of its own

    def asking(self, answer: Coroutine[object, object, Answer]) -> "PullStream":
        """Answer with what comes out of it."""

        async def ask() -> None:
            self._client.answer(self._request, await answer)

        self._task = self._client.loop.create_task(ask())
        return self

    def tell(self, line: Line) -> None:
        """One line, the head before the first."""
        data = json.dumps(line).encode() + b"\n"
        if self._chunked or not self._begun:
            head = b"" if self._begun else self._head()
            data = head + (b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        self._client.write(data)

    def finish(self, line: Line) -> None:
        """The last line."""
        self.tell(line)
        if self._chunked:
            self._client.write(b"0\r\n\r\n")
        self._client.finish(keep=self._keep)

    def fail(self, status: int, message: str) -> None:
        """An answer of that status, or an error line where the 200 is out already."""
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

    # --- what a connection asks of its responder

    def client_gone(self) -> None:
        """The pull goes on."""
        self.left()
        if self._task is not None:
            self._task.cancel()

    def pause(self) -> None:
        """A line every other second fills no buffer that matters."""

    def resume(self) -> None:
        """The connection has set a deadline of its own meanwhile; `expire` takes it back."""

    def expire(self) -> None:
        """Silence is the pull's to judge."""
        self._client.deadline = float("inf")
