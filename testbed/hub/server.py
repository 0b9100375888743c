"""The hub's HTTP side: resolve (HEAD, GET with Range), model info, tree, paths-info, and what it served at /_stats.

Only what huggingface_hub 2.4 was seen to ask for. Checked against that client in tests/sidecar/weights.
"""

import json
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .faults import Faults
from .repository import NotOnHubError, Published, Repositories

_RESOLVE = re.compile(r"^/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)$")
_API = re.compile(r"^/api/models/(?P<repo>[^/]+/[^/]+)(?:/(?P<what>tree|paths-info|revision)/(?P<revision>[^/]+))?/?$")
_PIECE = 1 << 20


@dataclass
class Stats:
    """Counts: bytes of each file's content that reached the socket, and requests."""

    bytes: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    log: list[str] = field(default_factory=list)
    """`METHOD path range authorized` of every request, for tests."""


class Hub(ThreadingHTTPServer):
    """Serves `root`; use as a context manager in tests, or `serve_forever`. Port 0 picks a free one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self,
        root: Path,
        address: tuple[str, int] = ("127.0.0.1", 0),
        *,
        faults: Faults | None = None,
        token: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.repositories, self.faults, self.token = Repositories(root), faults or Faults(), token
        self.stats, self.lock, self.closing = Stats(), threading.Lock(), threading.Event()
        self._asked, self._asking = set[str](), threading.Condition()
        super().__init__(address, _Handler)
        self._scheme = "https" if tls else "http"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        """Return the base URL, without a slash at the end."""
        return f"{self._scheme}://{self.server_address[0]!s}:{self.server_address[1]}"

    def __enter__(self) -> "Hub":
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join(5)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (the signature of socketserver)
        """Ignore clients that close their connection."""

    def count(self, path: str, sent: int) -> None:
        """Add bytes that reached the socket."""
        with self.lock:
            self.stats.bytes[path] = self.stats.bytes.get(path, 0) + sent

    def gather(self, path: str) -> None:
        """Wait until as many files are asked for as the faults say."""
        with self._asking:
            self._asked.add(path)
            self._asking.notify_all()
            while len(self._asked) < self.faults.gather and not self.closing.is_set():
                self._asking.wait(0.05)

    def take(self, fault: str) -> bool:
        """Tell whether a fault that strikes a limited number of times still strikes now."""
        with self.lock:
            left = getattr(self.faults, fault)
            if left > 0:
                self.faults = Faults(**{**vars(self.faults), fault: left - 1})
            return bool(left > 0)


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name BaseHTTPRequestHandler has)
        """Log nothing: /_stats has the requests."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        target = urlsplit(self.path)
        path = unquote(target.path)
        if path == "/_stats":
            with self.server.lock:
                self._json({"bytes": self.server.stats.bytes, "requests": self.server.stats.requests})
            return
        with self.server.lock:
            self.server.stats.requests += 1
            authorized = "token" if "Authorization" in self.headers else "-"
            self.server.stats.log.append(f"{self.command} {path} {self.headers.get('Range', '-')} {authorized}")
        try:
            self._route(path)
        except NotOnHubError as missing:
            self._refuse(HTTPStatus.NOT_FOUND, missing.code, str(missing))

    def _route(self, path: str) -> None:
        if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._refuse(HTTPStatus.UNAUTHORIZED, None, "Invalid username or password.")
        elif match := _RESOLVE.match(path):
            self._resolve(**match.groupdict())
        elif match := _API.match(path):
            self._api(match["repo"], match["what"], match["revision"] or "main")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, None, "Not found")

    def _api(self, repo: str, what: str | None, revision: str) -> None:
        files = self.server.repositories.files(repo, revision)
        if what == "tree":
            self._json([_entry(file) for file in files.values()])
        elif what == "paths-info":
            form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            self._json([_entry(files[path]) for path in form.get("paths", []) if path in files])
        else:
            siblings = [{"rfilename": path} for path in files]
            sha = self.server.repositories.commit(repo, revision)
            self._json({"id": repo, "modelId": repo, "sha": sha, "siblings": siblings, "private": False, "tags": []})

    def _resolve(self, repo: str, revision: str, path: str) -> None:
        faults = self.server.faults
        if faults.refuse:
            self._refuse(HTTPStatus(faults.refuse[0]), faults.refuse[1], "Refused")
            return
        if self.command == "HEAD" and faults.metadata_redirect is not None:
            self._redirect(faults.metadata_redirect + self.path, {})
            return
        if self.command == "GET" and faults.gather:
            self.server.gather(f"{repo}/{path}")
        if self.command == "GET" and self.server.take("busy"):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, None, "Try again")
            return
        file = self.server.repositories.find(repo, revision, path)
        linked = {} if faults.no_linked_etag else {"X-Linked-Etag": f'"{file.sha256}"'}
        headers = {"X-Repo-Commit": faults.wrong_commit or file.revision, "X-Linked-Size": str(file.bytes), **linked}
        if faults.redirect is not None:
            self._redirect(faults.redirect + self.path, headers)
            return
        self._content(file, headers | {"ETag": f'"{faults.etag or file.sha256}"'})

    def _content(self, file: Published, headers: dict[str, str]) -> None:
        faults = self.server.faults
        size = file.bytes - faults.short_by
        start, end = 0, size
        asked = re.match(r"^bytes=(\d+)-(\d*)$", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range", headers["ETag"]) == headers["ETag"]
        partial = bool(asked) and fresh and not faults.no_ranges and self.command == "GET"
        if asked and faults.no_ranges_beyond is not None and int(asked[1]) > faults.no_ranges_beyond:
            partial = False
        if partial and asked:
            start, end = int(asked[1]), min(int(asked[2]) + 1 if asked[2] else size, size)
            if faults.short_ranges is not None:
                end = min(end, start + faults.short_ranges)
            if faults.changes_at is not None and start > faults.changes_at:
                headers["ETag"] = '"another"'
            if start >= size:
                headers["Content-Range"] = f"bytes */{size}"
                self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers, 0)
                return
            headers["Content-Range"] = f"bytes {start + faults.wrong_span}-{end - 1}/{size}"
        if not faults.no_ranges:
            headers["Accept-Ranges"] = "bytes"
        headers["Content-Type"] = "application/octet-stream"
        if faults.endless_chunk and self.command == "GET":
            self._endless_chunk()
            return
        self._head(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK, headers, end - start)
        if self.command == "GET":
            self._body(file, start, end)

    def _body(self, file: Published, start: int, end: int) -> None:
        faults, sent, began = self.server.faults, 0, time.monotonic()
        limit = None if faults.stall_after is None else max(0, faults.stall_after - start)
        if faults.cut_after is not None and self.server.take("cuts"):
            limit = faults.cut_after
        piece = _PIECE if faults.bytes_per_second is None else max(1, faults.bytes_per_second // 50)
        with self.server.repositories.location(file).open("rb") as content:
            while start + sent < end:
                count = min(piece, end - start - sent)
                if limit is not None:
                    count = min(count, limit - sent)
                    if count <= 0:
                        if not self._goes_on():
                            return
                        limit = None
                        continue
                sent += self._send(content, file, start + sent, count)
                if faults.bytes_per_second is not None:
                    time.sleep(max(0.0, began + sent / faults.bytes_per_second - time.monotonic()))

    def _send(self, content: Any, file: Published, offset: int, count: int) -> int:  # noqa: ANN401 (BufferedReader of any mode)
        if self.server.faults.garbage:
            self.wfile.write(bytes(count))
            sent = count
        else:
            sent = self.connection.sendfile(content, offset, count)
        self.server.count(f"{file.repo}/{file.path}", sent)
        return sent

    def _goes_on(self) -> bool:
        """Wait at a body's limit; return True if the fault was removed and the body continues."""
        stalled = self.server.faults.stall_after is not None
        while stalled and not self.server.closing.wait(0.05):
            if self.server.faults.stall_after is None:
                return True
            if self.server.faults.trickle:
                self.wfile.write(b"\0")
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
        return False

    def _endless_chunk(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
        while not self.server.closing.wait(0.01):
            self.wfile.write(b"a")

    def _redirect(self, location: str, headers: dict[str, str]) -> None:
        self._head(HTTPStatus.FOUND, headers | {"Location": location}, 0)

    def _refuse(self, status: HTTPStatus, code: str | None, message: str) -> None:
        extra = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._json({"error": message}, status, extra)

    def _json(self, value: object, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self._head(status, {"Content-Type": "application/json"} | (headers or {}), len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, headers: dict[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def _entry(file: Published) -> dict[str, object]:
    # `oid` is a git hash on the real hub; only its presence is read.
    lfs = {"oid": file.sha256, "size": file.bytes, "pointerSize": 134}
    return {"type": "file", "path": file.path, "size": file.bytes, "oid": file.sha256[:40], "lfs": lfs}
