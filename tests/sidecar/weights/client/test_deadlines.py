"""Every wait for a hub has an end, also for one that always has another byte to send."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from larder_sidecar.config.weights import WeightsFile
from larder_sidecar.weights.client.client import Client
from larder_sidecar.weights.client.deadline import run_within
from larder_sidecar.weights.errors import StallError
from larder_sidecar.weights.retry import Patience
from larder_sidecar.weights.sources.hub import Hub

from testbed.hub.faults import Faults
from tests.sidecar.weights.kitchen import BIG, Kitchen


@contextlib.contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[str]:
    """The address of a server that answers with `first` and then with `drop` every 10 ms, for ever."""
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(first)
            while not over.wait(0.01):
                connection.sendall(drop)

    def serve() -> None:
        with contextlib.suppress(OSError):  # the end: the listener is closed
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)


HEAD = b"HTTP/1.1 200 OK\r\nX-Endless: "
DRIPS = {
    "head": ("http://{}/f", HEAD, b"a"),
    "interim answers": ("http://{}/f", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    # The head of a TLS record of 16 KiB with a ServerHello in it, and then its bytes.
    "handshake": ("https://{}/f", b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x03"),
    "answer of a proxy": ("https://hub.test/f", HEAD, b"a"),
}


@pytest.mark.parametrize(("url", "first", "drop"), DRIPS.values(), ids=DRIPS.keys())
def test_an_answer_that_never_gets_to_its_point_is_given_up(
    monkeypatch: pytest.MonkeyPatch, url: str, first: bytes, drop: bytes
) -> None:
    with dripping(first, drop) as address, Hub(stall_seconds=0.1) as hub:
        monkeypatch.setenv("https_proxy", f"http://{address}")
        facts = {"path": "f", "url": url.format(address), "revision": "r", "bytes": 1, "sha256": "0" * 64}
        with pytest.raises(StallError):
            hub.metadata(WeightsFile.model_validate(facts))


def test_the_framing_of_a_body_may_not_drip_either(kitchen: Kitchen) -> None:
    kitchen.publish(size=BIG)
    hub = kitchen.hub(Faults(endless_chunk=True))
    with pytest.raises(StallError):
        kitchen.fetch(kitchen.plan(hub), patience=Patience(stall_seconds=0.1, failures=1))


def test_what_comes_too_late_is_handed_over_to_be_closed() -> None:
    go, closed = threading.Event(), threading.Event()

    def work() -> str:
        go.wait()
        return "answer"

    with pytest.raises(TimeoutError):
        run_within(0.01, work, too_late=lambda answer: closed.set() if answer == "answer" else None)
    go.set()
    assert closed.wait(10)


def test_the_connection_of_an_answer_that_comes_too_late_is_closed() -> None:
    late = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, Client(head_seconds=0.05) as client:

        def answer() -> bytes:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                late.wait()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
                connection.settimeout(10)
                return connection.recv(1)

        with ThreadPoolExecutor() as server:
            end = server.submit(answer)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            with pytest.raises(StallError), client.ask("GET", url, {}):
                pass
            late.set()
            assert end.result() == b""


def test_an_error_within_the_time_is_the_callers() -> None:
    def work() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        run_within(10, work, too_late=lambda _: None)
