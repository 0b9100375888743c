"""Shutdown of the gateway: no request that reached it is lost."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from larder_sidecar.config.gateway import Limits
from larder_sidecar.gateway import drain
from larder_sidecar.gateway.drain import Phase
from larder_sidecar.gateway.serve import Running
from larder_sidecar.http.listener import Listener
from larder_sidecar.http.registry import Registry
from larder_sidecar.http.server import ServerConnection

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.scripted import (
    HOOK,
    WAIT,
    Client,
    Engine,
    Turn,
    admin,
    ask,
    connect,
    drained,
    request,
    until,
)
from tests.sidecar.gateway.test_gateway_framing import Echo, Wire

QUICK = {"serve-seconds": 0.3, "grace-seconds": 8}
AT_ONCE = {"serve-seconds": 0, "grace-seconds": 8}


class Slow:
    """One stream that has begun and ends when the test ends it."""

    def __init__(self, engine: Engine) -> None:
        self.go = asyncio.Event()
        engine.script = self._script

    async def _script(self, turn: Turn) -> None:
        await turn.stream_head()
        await turn.chunk(b"data: 1\n\n")
        await self.go.wait()
        await turn.chunk(b"data: [DONE]\n\n")
        await turn.end()


@contextlib.asynccontextmanager
async def refusing(gateway: Running, slow: Client) -> AsyncIterator[asyncio.Task[tuple[int, dict[str, object]]]]:
    """Start a drain that waits for the stream of `slow`."""
    await slow.post(CHAT, b"{}")
    await slow.head()
    drain = asyncio.create_task(drained(gateway))
    await until(lambda: gateway.lifecycle.phase is Phase.REFUSING, "the drain to refuse")
    yield drain
    assert await asyncio.wait_for(drain, WAIT) == (200, {"drained": True, "in_flight": 0})


@contextlib.asynccontextmanager
async def raw(port: int) -> AsyncIterator[socket.socket]:
    """Open a connection that shows all TCP events."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setblocking(False)  # noqa: FBT003
        yield client


async def ask_raw(client: socket.socket) -> bytes:
    client.sendall(request(CHAT, b"{}"))
    return await asyncio.get_running_loop().sock_recv(client, 4096)


async def refused(client: Client) -> None:
    await client.post(CHAT, b"{}")
    answer = await client.response()
    assert (answer.status, answer.code, answer["connection"]) == (503, "draining", "close")
    assert answer["retry-after"]
    assert await client.closed()


async def test_a_drain_serves_then_refuses_then_returns(start: Start, engine: Engine) -> None:
    go = asyncio.Event()

    async def script(turn: Turn) -> None:
        if b"slow" in turn.request.body:
            await turn.stream_head()
            await turn.chunk(b"data: 1\n\n")
            await go.wait()
            await turn.chunk(b"data: [DONE]\n\n")
            await turn.end()
        else:
            await turn.reply(b"ok")

    engine.script = script
    async with start(drain=QUICK) as gateway, connect(gateway.port) as idle, connect(gateway.port) as slow:
        await idle.post(CHAT, b"{}")
        assert (await idle.response())["connection"] == ""
        await slow.post(CHAT, b'{"slow":1}')
        await slow.head()
        drain = asyncio.create_task(drained(gateway))
        await until(lambda: gateway.lifecycle.closing, "the drain to begin")
        # Whoever was just about to send is answered, and told.
        await idle.post(CHAT, b"{}")
        assert (await idle.response())["connection"] == "close"
        assert await idle.closed()

        status, detail = await admin(gateway, "/readyz")
        assert (status, detail["draining"]) == (503, True)
        assert (await admin(gateway, "/livez"))[0] == 200
        late = await ask(gateway.port, CHAT, b"{}")
        assert (late.status, late["connection"]) == (200, "close")

        await asyncio.sleep(0.4)
        refused = await ask(gateway.port, CHAT, b"{}")
        assert (refused.status, refused.code, refused["connection"]) == (503, "draining", "close")
        assert not drain.done()
        go.set()
        assert await asyncio.wait_for(drain, WAIT) == (200, {"drained": True, "in_flight": 0})
        assert await slow.chunk() == b"data: 1\n\n"
        assert await slow.chunk() == b"data: [DONE]\n\n"
        assert await drained(gateway) == (200, {"drained": True, "in_flight": 0})


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ("", "x-larder-drain: 1"),
        ("x-larder-drain: 0\r\n", "x-larder-drain: 1"),
        ("x-larder-drain:\r\n", "x-larder-drain: 1"),
        (
            "Referer: http://evil.example/\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: image\r\n",
            "x-larder-drain: 1",
        ),
        (f"{HOOK}Origin: http://evil.example\r\n", "has `origin`"),
        (f"{HOOK}Origin: null\r\n", "has `origin`"),
        (f"{HOOK}Referer: http://10.0.0.7:9090/\r\n", "has `referer`"),
        (f"{HOOK}Sec-Fetch-Site: same-origin\r\n", "has `sec-fetch-site`"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_only_the_kubelet_can_drain(gateway: Running, headers: str, says: str, method: str) -> None:
    answer = await ask(gateway.admin_port, "/drain", headers=headers, method=method)
    assert answer.status == 403
    if method == "GET":
        assert (answer.code, says in answer.body.decode()) == ("drain_refused", True)
    assert not gateway.lifecycle.closing
    assert (await ask(gateway.port, CHAT, b"{}")).status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example:9090", 403),
        ("evil.example", 403),
        ("evil.example.", 403),
        ("10.0.0.7.evil.example:9090", 403),
        ("10.0.0.7:9090", 200),
        ("10.0.0.7", 200),
        ("[fd00::7]:9090", 200),
        ("[fd00::7]", 200),
        ("localhost:9090", 200),
        ("larder", 200),
    ],
)
async def test_a_page_under_a_rebound_name_cannot_drain(start: Start, host: str, status: int) -> None:
    async with start(drain=AT_ONCE) as gateway, connect(gateway.admin_port) as client:
        await client.send(f"GET /drain HTTP/1.1\r\nHost: {host}\r\n{HOOK}\r\n".encode())
        assert (await client.response()).status == status
        assert gateway.lifecycle.closing is (status == 200)


async def test_a_drain_returns_in_time_for_the_engine_to_stop(start: Start, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.gone.wait()

    engine.script = script
    async with start(drain={"serve-seconds": 0.1, "grace-seconds": 5.3}) as gateway, connect(gateway.port) as client:
        await client.post(CHAT, b"{}")
        await until(lambda: len(engine.requests) == 1, "the request")
        async with asyncio.timeout(2):
            assert await drained(gateway) == (200, {"drained": True, "in_flight": 1})


async def test_a_drain_outlives_its_client(start: Start) -> None:
    async with start(drain=QUICK) as gateway:
        async with connect(gateway.admin_port) as client:
            await client.send(f"GET /drain HTTP/1.1\r\nHost: 10.0.0.7:9090\r\n{HOOK}\r\n".encode())
            await until(lambda: gateway.lifecycle.closing, "the drain to begin")
        await until(lambda: gateway.lifecycle.phase == 2, "the drain to go on")
        assert await drained(gateway) == (200, {"drained": True, "in_flight": 0})


async def test_a_connected_client_is_answered_however_long_the_drain_takes(start: Start, engine: Engine) -> None:
    stream = Slow(engine)
    async with start(drain=AT_ONCE) as gateway, connect(gateway.port) as early, connect(gateway.port) as slow:
        await until(lambda: b"larder_connections 2.0" in gateway.metrics.text(), "the gateway to know both")
        async with refusing(gateway, slow), connect(gateway.port) as late:
            await asyncio.sleep(0.2)
            await refused(early)
            await refused(late)
            stream.go.set()


async def test_a_stream_from_before_the_drain_leaves_a_connection_that_answers(start: Start, engine: Engine) -> None:
    stream = Slow(engine)
    async with start(drain=AT_ONCE) as gateway, connect(gateway.port) as slow:
        async with refusing(gateway, slow):
            stream.go.set()
            assert [await slow.chunk() for _ in range(3)][1:] == [b"data: [DONE]\n\n", b""]
        await refused(slow)


async def test_an_idle_connection_ends_cleanly_when_requests_are_refused(start: Start) -> None:
    async with start(drain=AT_ONCE) as gateway, raw(gateway.port) as client:
        assert (await ask_raw(client)).startswith(b"HTTP/1.1 200")
        assert await gateway.lifecycle.drain() == 0
        assert await asyncio.get_running_loop().sock_recv(client, 4096) == b""
        client.sendall(request(CHAT, b"{}"))  # it crossed the end: no answer, but no reset either
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


@pytest.mark.parametrize(
    "reap", [Registry.retire_idle, lambda registry: registry.add(ServerConnection(Echo(), Limits(), registry))]
)
async def test_a_connection_with_an_unread_request_is_not_idle(reap: Callable[[Registry], object]) -> None:
    registry = Registry(1)
    listener = await Listener.open("listen", "127.0.0.1:0", lambda: ServerConnection(Echo(), Limits(), registry))
    async with raw(listener.port) as client:
        assert (await ask_raw(client)).startswith(b"HTTP/1.1 200")
        client.sendall(request(CHAT, b"{}"))
        reap(registry)  # before the loop could read it
        assert registry.accepting == 1
        assert (await asyncio.get_running_loop().sock_recv(client, 4096)).startswith(b"HTTP/1.1 200")
    listener.close()


async def test_an_answer_that_its_client_has_not_read_yet_is_in_flight() -> None:
    registry, wire = Registry(1), Wire()
    connection = ServerConnection(Echo(), Limits(), registry)
    connection.connection_made(wire)
    connection.data_received(request("/a", b"hello", "Connection: close\r\n"))
    assert registry.in_flight == 0
    wire.unsent = 5
    assert registry.in_flight == 1


async def test_the_end_answers_connected_clients_and_refuses_later_ones(start: Start) -> None:
    async with start(drain=AT_ONCE) as gateway, connect(gateway.port) as early:
        assert (await drained(gateway))[0] == 200
        stop = asyncio.create_task(gateway.stop(0))
        await asyncio.sleep(0.05)
        with pytest.raises(ConnectionRefusedError):
            await ask(gateway.port, CHAT, b"{}")
        assert not stop.done()
        await refused(early)
        assert await asyncio.wait_for(stop, WAIT) == 0


async def test_the_end_waits_neither_for_the_whole_drain_nor_for_silent_clients(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "LEAVE_SECONDS", 0.1)
    async with start(drain={"serve-seconds": 60}) as gateway, connect(gateway.port):
        await until(lambda: b"larder_connections 1.0" in gateway.metrics.text(), "the gateway to know it")
        assert await asyncio.wait_for(gateway.stop(0.05), WAIT) == 0
