"""One small request to the engine on our own account: health, never a client's."""

import asyncio

from .pool import Pool
from .upstream import ResponseHead, UpstreamConnection


class Call:
    """Collects a response."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def response_data(self, head: ResponseHead | None, pieces: list[bytes], *, done: bool) -> None:
        """Keep it."""
        if head is not None:
            self.status = head.status
        self.body += b"".join(pieces)
        if done and not self._done.done():
            self._done.set_result(None)

    def response_lost(self, reason: str) -> None:
        """Give up."""
        if not self._done.done():
            self._done.set_exception(ConnectionError(reason))

    async def run(self, connection: UpstreamConnection, request: bytes) -> None:
        """Send and wait. Raises ConnectionError."""
        connection.send(self, [request])
        try:
            await self._done
        except asyncio.CancelledError:
            connection.abandon()
            raise


async def get(pool: Pool, path: str, seconds: float) -> tuple[int, bytes]:
    """Status and body of `path`. Raises OSError: refused, broken, or slower than `seconds`.

    On a connection of its own: a pooled one that has just died would report a healthy engine as lost.
    """
    async with asyncio.timeout(seconds):
        connection = await pool.connect()
        call = Call()
        await call.run(
            connection, b"GET %b HTTP/1.1\r\nhost: %b\r\nconnection: close\r\n\r\n" % (path.encode(), pool.authority)
        )
    return call.status, call.body
