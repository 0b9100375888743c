"""Two registries for one set of tests: a small one of our own, and the real one where the toolchain has it."""

import hashlib
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from testbed.packages import tool


class SmallRegistry(ThreadingHTTPServer):
    """As much of the distribution API as a push needs, in memory. `fail` statuses answer before anything else does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stored: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.fail: list[int] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @contextmanager
    def running(self) -> Iterator["SmallRegistry"]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SmallRegistry

    def do_HEAD(self) -> None:
        self._answer(200 if self.path in self.server.stored else 404)

    def do_GET(self) -> None:
        self._answer(200 if self.path in self.server.stored else 404, self.server.stored.get(self.path, b""))

    def do_POST(self) -> None:
        self._answer(202, Location=f"{self.path}1?state=x")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        parts = urlsplit(self.path)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if "/blobs/uploads/" in parts.path:
            if parse_qs(parts.query)["digest"] != [digest]:
                self._answer(400, b'{"errors": [{"code": "DIGEST_INVALID"}]}')
                return
            self._store(f"{parts.path.partition('/uploads/')[0]}/{digest}", content)
        else:
            for reference in (parts.path, f"{parts.path.rpartition('/')[0]}/{digest}"):
                self._store(reference, content)
        self._answer(201)

    def _store(self, path: str, content: bytes) -> None:
        self.server.stored[path], self.server.types[path] = content, self.headers["Content-Type"]

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.headers.append(dict(self.headers))
        if self.server.fail:
            status, body = self.server.fail.pop(0), b'{"errors": [{"code": "DENIED", "message": "secret text"}]}'
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def binary() -> Path | None:
    """Debian's docker-registry, which the embedded cluster uses."""
    found = tool("docker-registry")
    return found if found.exists() else None


@contextmanager
def real_registry(program: Path, folder: Path) -> Iterator[str]:
    """`host:port` of a registry in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "registry.yaml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'registry'}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    environment = {"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"}
    process = subprocess.Popen([program, "serve", config], env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "docker-registry does not start"
                time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
