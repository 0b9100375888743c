"""One request carried to the engine and its response carried back: bytes in, bytes out."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..config.gateway import Limits
from ..http.answer import RETRY_SOON, TURNED_AWAY, error, status_line
from ..http.headers import TO_CLIENT, Filter, render
from ..http.pool import Pool
from ..http.server import ServerConnection
from ..http.upstream import ResponseHead, UpstreamConnection
from .metrics import Metrics
from .request import GatewayRequest
from .streams import Stream, watch_for
from .watch import Watch

CONNECT_PAUSES = (0.1, 0.3)
"""Seconds before the second and the third try to connect: an engine may be restarting its listener."""
HOLD_PAUSE = 0.5
"""Seconds between two more tries, as long as a request may be held."""
DYING_SECONDS = 1.0
"""Seconds in which a killed process still accepts connections, until its memory is freed; it reads no request."""


@dataclass(frozen=True, slots=True)
class Line:
    """The way to the engine, shared by all exchanges."""

    pick: Callable[[str], Pool | None]
    """Returns the connection pool for a request of this model; None if no replica is there."""
    limits: Limits
    metrics: Metrics
    to_client: Filter = TO_CLIENT
    """Filter for the headers of an answer."""


async def _raise_no_replica() -> UpstreamConnection:
    raise ConnectionRefusedError


def stream_head(extra: bytes, *, keep: bool) -> bytes:
    """Return the head of an event stream whose engine has not begun yet."""
    fixed = ((b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
    framing = b"transfer-encoding: chunked\r\n" if keep else b"transfer-encoding: chunked\r\nconnection: close\r\n"
    return b"".join((status_line(200), render(fixed), extra, framing, b"\r\n"))


class Exchange:
    """Joins a client's connection with one to the engine for the length of a response."""

    __slots__ = (
        "_begun",
        "_body_begun",
        "_chunked",
        "_client",
        "_extra",
        "_head_sent",
        "_keep",
        "_line",
        "_lost_at",
        "_over",
        "_request",
        "_reused",
        "_stream",
        "_task",
        "_upstream",
        "_watch",
        "_wire",
    )

    def __init__(
        self,
        line: Line,
        client: ServerConnection,
        request: GatewayRequest,
        wire: Sequence[bytes | memoryview],
        extra: bytes,
        stream: Stream | None,
        *,
        begun: bool = False,
    ) -> None:
        """Take both sides. `begun`: the client has its `stream_head` already, and only events can follow."""
        self._line = line
        self._client = client
        self._request = request
        self._wire = wire
        self._extra = extra
        """Our own header lines on the response."""
        self._stream = stream
        self._upstream: UpstreamConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._watch: Watch | None = None
        self._reused = False
        self._lost_at = 0.0
        """Loop time at which the first connection was lost without an answer; 0 before that."""
        self._begun = begun
        self._head_sent = False
        self._body_begun = False
        self._chunked = begun
        self._keep = begun and client.keeps(request)
        self._over = False

    def start(self) -> None:
        """Send the request: on a kept connection at once, on a new one when it is connected."""
        self._client.deadline = self._client.loop.time() + self._line.limits.response_seconds
        pool = self._line.pick(self._request.model)
        connection = pool.take() if pool else None
        if connection is not None:
            self._reused = True
            self._send(connection)
        else:
            self._task = self._client.loop.create_task(self._connect())

    def _retry(self, after: float) -> None:
        """Send the request once more, on a new connection."""
        self._line.metrics.retried()
        self._reused = False
        self._task = self._client.loop.create_task(self._connect(after))

    async def _connect(self, after: float = 0.0) -> None:
        if after:
            await asyncio.sleep(after)
        held_until = self._client.loop.time() + self._line.limits.hold_seconds
        for pause in itertools.chain(CONNECT_PAUSES, itertools.repeat(HOLD_PAUSE)):
            try:
                # Picked again each time: a replica that has just refused is skipped if there are others.
                pool = self._line.pick(self._request.model)
                connection = await (pool.connect() if pool else _raise_no_replica())
            except OSError as reason:
                self._line.metrics.connect_failed()
                if pause == HOLD_PAUSE and self._client.loop.time() >= held_until:
                    self._task = None
                    detail = "timed out" if isinstance(reason, TimeoutError) else "failed"
                    self._fail(
                        503,
                        "engine_unavailable",
                        f"the engine is not reachable (connecting {detail}); try again in a moment",
                    )
                    return
                await asyncio.sleep(pause)
            else:
                self._task = None
                self._send(connection)
                return

    def _send(self, connection: UpstreamConnection) -> None:
        self._upstream = connection
        if self._client.paused:
            connection.pause_reading()
        connection.send(self, self._wire)

    # --- from the engine

    def response_data(self, head: ResponseHead | None, pieces: list[bytes], *, done: bool) -> None:
        """Pass on all that one read from the engine brought, in one write."""
        if self._over or (head is not None and head.status == 503 and self._retry_elsewhere(head)):
            return
        if done:
            self._upstream = None
        out: list[bytes] = []
        if head is not None:
            out.append(self._head(head))
            if self._begun and self._watch is None:
                self._refused(head.status)
                return
        if pieces:
            self._body(pieces, out)
        if done:
            self._finish(out)
            return
        if not self._client.paused:
            self._client.deadline = self._client.loop.time() + self._line.limits.response_seconds
        if out:
            self._client.write(b"".join(out))

    def response_lost(self, reason: str) -> None:
        """Retry or fail: the engine's connection ended early."""
        if self._over:
            return
        connection, self._upstream = self._upstream, None
        if self._head_sent:
            self._truncated("closed", reason)
        elif connection is not None and not connection.answered and self._may_retry():
            self._retry(after=0 if self._reused else CONNECT_PAUSES[0])
        else:
            self._line.metrics.truncated("closed")
            self._fail(502, "engine_failed", f"{reason} before it answered")

    def _may_retry(self) -> bool:
        """Tell if a request that was lost before a byte of its answer is sent again.

        Most likely the engine closed an idle connection, or was dying, as the request was on its way. But it may have
        read the request and crashed on it. One retry is right for the paths of routes.py: an inference changes only
        the bill, and the client gets one answer. (RFC 9110 9.2.2 permits it for a POST that is known to be safe.)
        On a new connection the retry needs a setting by which requests wait for engines that restart.
        """
        now, hold = self._client.loop.time(), self._line.limits.hold_seconds
        if not self._lost_at:
            self._lost_at = now
            return self._reused or hold > 0
        return hold > 0 and now - self._lost_at < DYING_SECONDS

    def _retry_elsewhere(self, head: ResponseHead) -> bool:
        """Retry elsewhere if a gateway that is shutting down did not admit the request; return True if so."""
        if TURNED_AWAY not in head.headers or self._request.seconds() >= self._line.limits.hold_seconds:
            return False
        if self._upstream is not None:
            self._upstream.turned_away()
            self._upstream = None
        self._retry(after=CONNECT_PAUSES[0])
        return True

    def _head(self, head: ResponseHead) -> bytes:
        request = self._request
        self._head_sent = True
        self._wire = ()
        self._client.release_body(request)
        self._line.metrics.first_byte(request.operation, request.model, request.seconds())
        self._watch = watch_for(self._stream, head.status, head.content_type, head.headers)
        if self._begun:
            return b""
        request.status = head.status
        lines = self._line.to_client.lines(head.headers)
        if self._watch is not None:
            lines.append(b"x-accel-buffering: no\r\n")
            if not any(line.startswith(b"cache-control:") for line in lines):
                lines.append(b"cache-control: no-cache\r\n")
        self._keep = self._client.keeps(request)
        bodiless = head.status in (204, 304)
        framing = b""
        if head.length is not None:
            framing = b"" if bodiless else b"content-length: %d\r\n" % head.length
        elif request.minor:
            self._chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        else:
            self._keep = False
        if not self._keep:
            framing += b"connection: close\r\n"
        elif not request.minor:
            framing += b"connection: keep-alive\r\n"
        return b"".join((status_line(head.status), *lines, self._extra, framing, b"\r\n"))

    def _body(self, pieces: list[bytes], out: list[bytes]) -> None:
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._body_begun = True
        if self._watch is not None:
            self._watch.see(body)
            body = self._watch.lines.take(body)
        self._pass(body, out)

    def _pass(self, body: bytes, out: list[bytes]) -> None:
        if self._request.method == "HEAD" or not body:  # an empty chunk would end the response
            return
        if self._chunked:
            out += [b"%x\r\n" % len(body), body, b"\r\n"]
        else:
            out.append(body)

    def _finish(self, out: list[bytes]) -> None:
        watch = self._watch
        if watch is not None:
            watch.finish()
            if not (watch.ended or watch.error_seen):
                if out:
                    self._client.write(b"".join(out))
                self._truncated("unfinished", "the engine ended the stream before the answer was complete")
                return
            self._pass(watch.lines.rest(), out)
            if watch.failed:
                self._line.metrics.truncated("engine_error")
                self._request.code = "engine_error"
        if self._chunked and self._request.method != "HEAD":
            out.append(b"0\r\n\r\n")
        self._over = True
        self._client.write(b"".join(out))
        self._client.finish(keep=self._keep)

    # --- from the client

    def client_gone(self) -> None:
        """Close the engine's connection, which stops its work."""
        if self._over:
            return
        phase = (
            "connect"
            if self._upstream is None
            else "stream"
            if self._body_begun
            else "first_byte"
            if self._head_sent
            else "headers"
        )
        self._line.metrics.aborted(phase)
        self._leave()

    def pause(self) -> None:
        """Stop reading from the engine while the client reads slowly."""
        if self._upstream is not None:
            self._upstream.pause_reading()

    def resume(self) -> None:
        """Read from the engine again."""
        if self._upstream is not None:
            self._upstream.resume_reading()

    def expire(self) -> None:
        """Fail: the engine has sent nothing for `response_seconds`."""
        seconds = self._line.limits.response_seconds
        if self._head_sent:
            self._truncated("stalled", f"the engine sent nothing for {seconds:g} s")
            return
        self._line.metrics.truncated("stalled")
        self._fail(504, "engine_timeout", f"the engine did not begin to answer within {seconds:g} s")

    # --- ends

    def _refused(self, status: int) -> None:
        """End the stream that the client was promised: the engine sent something else."""
        self._request.code = "engine_error"
        self._line.metrics.truncated("engine_error")
        self._end_begun(f"the engine answered {status} in place of the stream that the request asked for")

    def _end_begun(self, message: str) -> None:
        self._end_stream(self._stream.failure(message, b"\n\n") if self._stream else b"")

    def _truncated(self, reason: str, message: str) -> None:
        """Report in the stream that the response is not whole, or break off."""
        self._line.metrics.truncated(reason)
        self._request.code = f"truncated_{reason}"
        watch = self._watch
        if watch is None or self._stream is None:
            self._leave()
            self._client.abort()
            return
        watch.finish()
        # The answer is complete, or the engine has told the client of its error.
        reported = watch.ended or watch.error_seen
        self._end_stream(watch.lines.rest() if reported else self._stream.failure(message, watch.last))

    def _end_stream(self, last: bytes) -> None:
        self._leave()
        if self._chunked:
            last = (b"%x\r\n%b\r\n" % (len(last), last) if last else b"") + b"0\r\n\r\n"
        elif self._keep:  # a stream of announced length: it cannot be made longer
            self._client.abort()
            return
        self._client.write(last)
        self._client.finish(keep=self._keep)

    def _fail(self, status: int, code: str, message: str) -> None:
        if self._begun:
            self._request.code = code
            self._end_begun(message)
            return
        self._leave()
        self._client.answer(self._request, error(status, code, message, headers=RETRY_SOON if status == 503 else ()))

    def _leave(self) -> None:
        self._over = True
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._upstream is not None:
            connection, self._upstream = self._upstream, None
            connection.abandon()
