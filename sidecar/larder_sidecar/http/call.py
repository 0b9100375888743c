"""Small requests to the engine that the gateway sends itself: health, loaded models."""

import asyncio
import json
from collections.abc import Mapping

from .pool import Pool
from .upstream import ResponseHead, UpstreamConnection

SECONDS = 2.0
LARGEST = 2**20
"""Limit for an answer in bytes: enough for a list of a thousand models."""


class Call:
    """Collects a response."""

    def __init__(self) -> None:
        self.status = 0
        self._pieces: list[bytes] = []
        self._size = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def response_data(self, head: ResponseHead | None, pieces: list[bytes], *, done: bool) -> None:
        """Collect the head and the pieces."""
        if head is not None:
            self.status = head.status
        self._pieces += pieces
        self._size += sum(map(len, pieces))
        if self._size > LARGEST:
            self._pieces.clear()
            self.response_lost(f"the answer has more than {LARGEST:,} bytes")
        elif done and not self._done.done():
            self._done.set_result(None)

    def response_lost(self, reason: str) -> None:
        """Fail: the response is lost or too large."""
        if not self._done.done():
            self._done.set_exception(ConnectionError(reason))

    @property
    def body(self) -> bytes:
        """Return the body that has arrived."""
        return b"".join(self._pieces)

    async def run(self, connection: UpstreamConnection, request: bytes) -> None:
        """Send and wait. Raises ConnectionError."""
        connection.send(self, [request])
        try:
            await self._done
        except (asyncio.CancelledError, ConnectionError):
            connection.abandon()
            raise


async def ask(
    pool: Pool, path: str, body: Mapping[str, object] | None = None, *, seconds: float = SECONDS
) -> tuple[int, bytes]:
    """Return status and body of `path`; send POST if there is a body. Raises OSError: refused, broken, or slower.

    It uses a connection of its own: a pooled one that has just died would report a healthy engine as lost.
    """
    content = b"" if body is None else json.dumps(body).encode()
    method = b"GET" if body is None else b"POST"
    length = b"" if body is None else b"content-type: application/json\r\ncontent-length: %d\r\n" % len(content)
    head = b"%b %b HTTP/1.1\r\nhost: %b\r\n%bconnection: close\r\n\r\n" % (
        method,
        path.encode(),
        pool.authority,
        length,
    )
    async with asyncio.timeout(seconds):
        connection = await pool.connect(single=True)
        call = Call()
        await call.run(connection, head + content)
    return call.status, call.body
