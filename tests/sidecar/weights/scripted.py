"""A server on loopback that a test scripts: it answers each request as a function says."""

import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

Headers = list[tuple[str, str]]


class Scripted(ThreadingHTTPServer):
    """`respond` gets each request and answers it by `send` or `send_file`; `seen` are `METHOD path` of all of them."""

    daemon_threads = True

    def __init__(self, respond: Callable[["Request"], None]) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.respond, self.seen = respond, list[str]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def elsewhere(self) -> str:
        """The same server under another name."""
        return f"http://localhost:{self.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.005})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up."""


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def _any(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append(f"{self.command} {self.path}")
        self.server.respond(self)

    do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = _any  # noqa: N815 (the names that BaseHTTPRequestHandler calls)

    def send(self, status: int = 200, body: bytes = b"", headers: Headers | None = None) -> None:
        self.send_response(status)
        told = headers or []
        if "content-length" not in {name.lower() for name, _ in told}:
            told = [*told, ("Content-Length", str(len(body)))]
        for name, value in told:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(OSError):
                self.wfile.write(body)

    def send_file(self, content: bytes, headers: Headers | None = None, *, ranges: bool = True) -> None:
        """As a CDN does."""
        asked = self.headers.get("Range")
        if not asked or not ranges:
            self.send(200, content, headers)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or len(content) - 1) + 1, len(content))
        span = ("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send(206, content[start:stop], [span, *(headers or [])])

    def log_message(self, *_: object) -> None:
        pass
