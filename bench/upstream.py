"""A process that stands in for an engine at almost no cost, so that the bench measures the proxy before it.

`POST /v1/chat/completions` answers 640 bytes at once; with `"stream": true` in the body, `CHUNKS` events of 220 bytes.
"""

import asyncio
import sys
from typing import cast

import httptools
import uvloop
from larder_sidecar.gateway.heap import keep_freed

CHUNKS = 200
"""Events of one streamed answer."""
_EVENT = b"data: " + b"x" * 212 + b"\n\n"
_CHUNK = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)
_LAST = b"data: [DONE]\n\n"
_END = b"%x\r\n%b\r\n0\r\n\r\n" % (len(_LAST), _LAST)
_WHOLE = b'{"object":"chat.completion","choices":[{"message":{"content":"' + b"y" * 560 + b'"}}]}'
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_WHOLE), _WHOLE)
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_LOOKED_AT = 256
"""Bytes of a body that requests a stream."""
_HELD = b'{"models":[{"name":"small:latest","size":1}]}'
_HOLDS = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(_HELD), _HELD)
"""Answer to any GET: the loaded models, as Ollama lists them."""


class Connection(asyncio.Protocol):
    """The connection of one client."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the methods below."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Reset the state for a new request."""
        self._body = b""

    def on_body(self, data: bytes) -> None:
        """Check only the beginning of the body."""
        if len(self._body) < _LOOKED_AT:
            self._body += data[:_LOOKED_AT]

    def on_message_complete(self) -> None:
        """Send the answer."""
        if self._parser.get_method() == b"GET":
            self._transport.write(_HOLDS)
            if not self._parser.should_keep_alive():
                self._transport.close()
        elif b'"stream": true' in self._body:
            asyncio.get_running_loop().create_task(self._stream())
        else:
            self._transport.write(_ANSWER)

    async def _stream(self) -> None:
        self._transport.write(_STREAM)
        for _ in range(CHUNKS):
            self._transport.write(_CHUNK)
            await asyncio.sleep(0.005)  # as a fast engine writes tokens: each event is a write of its own
        self._transport.write(_END)


async def main() -> None:
    """Listen on a free port, print it, and serve until killed."""
    keep_freed()  # as the gateway does: else its own page faults are what a large body takes
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
