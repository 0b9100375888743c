"""Two registries for one set of tests: a small one of our own, and the real one where the toolchain has it."""

import hashlib
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from dev.packages import tool


class SmallRegistry(ThreadingHTTPServer):
    """As much of the distribution API as a push needs, in memory. `fail` statuses answer before anything else does."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.stored: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.uploads: dict[str, bytearray] = {}
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.fail: list[int] = []
        self.no_parts = 0
        """Status that refuses every PATCH."""
        self.cuts: list[int] = []
        """Connections that are lost after so many bytes of a part; what came is kept."""
        self.silent = False
        """Does it keep to itself how much it has?"""
        self.wants = ""
        """The Authorization without which everything is 401."""
        self.locations = ""
        """Prefix of the paths of uploads."""
        self.locked = 401
        """Status for whoever comes without it."""
        self.challenge = ""
        self.half = ""
        """The challenge everywhere else than at /v2/."""
        self.shy = False
        """Is the challenge at /v2/ alone?"""
        self.tokens: dict[str, str] = {}
        """Token by the Authorization of who asks /token for one."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def asked(self, method: str) -> list[str]:
        """Paths of the requests of a method."""
        return [line.partition(" ")[2] for line in self.requests if line.startswith(f"{method} ")]

    def put(self, repository: str, content: bytes, kind: str = "blobs", media_type: str = "") -> str:
        """Store a blob or a manifest; its digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        path = f"/v2/{repository}/{kind}/{digest}"
        self.stored[path], self.types[path] = content, media_type
        return digest

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
        parts = urlsplit(self.path)
        if parts.path == "/token":
            token = self.server.tokens.get(self.headers.get("Authorization", ""))
            self._answer(200 if token else 401, json.dumps({"token": token}).encode(), free=True)
        elif "/uploads/" in parts.path:
            upload = self.server.uploads.get(parts.path)
            self._answer(404 if upload is None else 204, Range=self._span(upload or b""))
        else:
            self._answer(200 if self.path in self.server.stored else 404, self.server.stored.get(self.path, b""))

    def do_POST(self) -> None:
        parts, query = urlsplit(self.path), parse_qs(urlsplit(self.path).query)
        if "mount" in query:
            repository, digest = parts.path.removesuffix("/blobs/uploads/"), query["mount"][0]
            content = self.server.stored.get(f"/v2/{query['from'][0]}/blobs/{digest}")
            if content is not None:
                self._store(f"{repository}/blobs/{digest}", content)
                self._answer(201)
                return
        path = f"{parts.path}{len(self.server.uploads) + 1}"
        self.server.uploads[path] = bytearray()
        self._answer(202, Location=f"{self.server.locations}{path}?state=x")

    def do_PATCH(self) -> None:
        upload, size = self.server.uploads.get(urlsplit(self.path).path), int(self.headers["Content-Length"])
        if self.server.no_parts:
            self.rfile.read(size)
            self._answer(self.server.no_parts)
        elif upload is None or self.headers["Content-Range"] != f"{len(upload)}-{len(upload) + size - 1}":
            self.rfile.read(size)
            self._answer(416)
        elif self.server.cuts:
            upload += self.rfile.read(min(size, self.server.cuts.pop(0)))
            self.server.requests.append(f"PATCH {self.path}")
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            upload += self.rfile.read(size)
            self._answer(202, Location=self.path, Range="" if self.server.silent else self._span(upload))

    def do_PUT(self) -> None:
        parts = urlsplit(self.path)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        content = bytes(self.server.uploads.get(parts.path, b"")) + content
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

    @staticmethod
    def _span(upload: bytes | bytearray) -> str:
        return f"0-{max(0, len(upload) - 1)}"

    def _store(self, path: str, content: bytes) -> None:
        self.server.stored[path] = content
        self.server.types[path] = self.headers.get("Content-Type", "")

    def _answer(self, status: int, body: bytes = b"", *, free: bool = False, **headers: str) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.headers.append(dict(self.headers))
        if self.server.fail:
            status, body = self.server.fail.pop(0), b'{"errors": [{"code": "DENIED", "message": "not you"}]}'
        elif self.server.wants and self.headers.get("Authorization") != self.server.wants and not free:
            told = self.server.challenge if self.path == "/v2/" or not self.server.shy else ""
            if self.server.half and self.path != "/v2/":
                told = self.server.half
            status, body = self.server.locked, b""
            headers = {"WWW-Authenticate": told} if told else {}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            with suppress(BrokenPipeError):  # the client was killed
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
