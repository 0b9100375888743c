"""A network of its own for a test: addresses of the internet and of a private network, all on one loopback device."""

import ctypes
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6

HUB, CDN, THIEF = "93.184.216.34", "93.184.216.35", "93.184.216.36"
PRIVATE = ("10.0.0.5", "100.64.0.1", "169.254.169.254", "192.0.0.192", "168.63.129.16")
PRIVATE_V6 = ("64:ff9b::7f00:1", "2002:7f00:1::", "fec0::1", "fd00::1", "::7f00:1", "2001:db8::1")
_NEW_NETWORK = 0x40000000


@contextmanager
def network() -> Iterator[None]:
    """This thread, and those that it starts, are in a network namespace of their own. Raises OSError."""
    setns = ctypes.CDLL(None, use_errno=True).setns
    commands = ["ip link set lo up", *(f"ip addr add {it}/32 dev lo" for it in (HUB, CDN, THIEF, *PRIVATE))]
    commands += [f"ip -6 addr add {it}/128 dev lo nodad" for it in PRIVATE_V6]
    script = " && ".join([*commands, "echo up", "exec cat"])
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        try:
            assert holder.stdout
            if holder.stdout.readline() != b"up\n":
                raise OSError("no network namespace")
            inside = os.open(f"/proc/{holder.pid}/ns/net", os.O_RDONLY)
            if setns(inside, _NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "setns")
            os.close(inside)
            yield
        finally:
            setns(before, _NEW_NETWORK)
            os.close(before)
            holder.stdin.close() if holder.stdin else None


class Site(ThreadingHTTPServer):
    """A web server. `asked`: at which of its addresses it was asked what, with which Authorization."""

    daemon_threads = True

    def __init__(
        self, place: tuple[str, int], answer: Callable[["Handler"], None], tls: ssl.SSLContext | None = None
    ) -> None:
        self.address_family = AF_INET6 if ":" in place[0] else self.address_family
        self.answer = answer
        self.asked: list[tuple[str, str, str, str | None]] = []
        super().__init__(place, Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    @contextmanager
    def running(self) -> Iterator["Site"]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        here = self.connection.getsockname()[0]
        self.server.asked.append((here, self.command, self.path, self.headers.get("Authorization")))
        self.server.answer(self)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def say(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
