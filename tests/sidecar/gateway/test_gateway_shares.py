"""Fair shares: no client takes the connections or memory of others for longer than a moment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from larder_sidecar.config.gateway import Limits
from larder_sidecar.gateway.serve import ADMIN_LIMITS, Running
from larder_sidecar.http import reader
from larder_sidecar.http import registry as registries
from larder_sidecar.http.application import Outcome
from larder_sidecar.http.body import SMALL_BODY
from larder_sidecar.http.reader import MOST_HEADERS
from larder_sidecar.http.registry import MAX_EXAMINED, Registry
from larder_sidecar.http.request import Request
from larder_sidecar.http.server import PIPELINED, ServerConnection

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.scripted import HOOK, Client, Engine, Turn, admin, ask, connect, request, until
from tests.sidecar.gateway.test_gateway_framing import Echo, Wire

CAP = 8
HEAD = f"POST {CHAT} HTTP/1.1\r\nHost: a\r\n"
SLOW_BODY = HEAD + "Content-Length: 100\r\n\r\n{"
BEGUN = {
    "nothing": "",
    "a line end": "\r\n",
    "one byte": "P",
    "half a head": HEAD,
    "half a body": SLOW_BODY,
    "half a chunk": HEAD + "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "half a trailer": HEAD + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    "a body that is asked for": HEAD + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    "half an offer": HEAD + "Connection: upgrade\r\nUpgrade: h2c\r\n",
    "an answer, and half a head": "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\nGET",
}


@contextlib.asynccontextmanager
async def holders(port: int, count: int, begun: str) -> AsyncIterator[list[Client]]:
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(port)) for _ in range(count)]
        for client in clients:
            await client.send(begun.encode())
        await asyncio.sleep(0.05)
        yield clients


@pytest.mark.parametrize("begun", BEGUN.values(), ids=BEGUN)
async def test_a_client_that_stalls_makes_room(start: Start, begun: str) -> None:
    async with start(limits={"connections": CAP}) as gateway, holders(gateway.port, CAP, begun):
        for _ in range(2 * CAP):
            assert (await ask(gateway.port, CHAT, b"{}")).status == 200


@pytest.mark.parametrize("begun", ["G", *BEGUN.values()], ids=["G", *BEGUN])
async def test_a_probe_finds_room_on_the_admin_port(gateway: Running, begun: str) -> None:
    async with holders(gateway.admin_port, ADMIN_LIMITS.connections + 1, begun):
        for _ in range(10):
            assert (await admin(gateway, "/livez"))[0] == 200


async def test_a_probe_finds_room_among_probes_that_wait_for_the_engine(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.gone.wait()

    engine.script = script
    async with holders(gateway.admin_port, ADMIN_LIMITS.connections, "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"):
        for _ in range(10):
            assert (await admin(gateway, "/livez"))[0] == 200


async def test_the_hook_keeps_its_connection_for_as_long_as_the_drain_takes(start: Start, engine: Engine) -> None:
    go = asyncio.Event()

    async def script(turn: Turn) -> None:
        await go.wait()
        await turn.reply(b"{}")

    engine.script = script
    async with start(drain={"serve-seconds": 0, "grace-seconds": 10}) as gateway, connect(gateway.port) as client:
        await client.post(CHAT, b"{}")
        await until(lambda: len(engine.requests) == 1, "the request")
        async with connect(gateway.admin_port) as hook:
            await hook.send(f"GET /drain HTTP/1.1\r\nHost: a\r\n{HOOK}\r\n".encode())
            await until(lambda: gateway.lifecycle.refusing, "the drain")
            async with holders(gateway.admin_port, 2 * ADMIN_LIMITS.connections, "GET /livez"):
                assert (await admin(gateway, "/livez"))[0] == 200
                go.set()
                assert (await hook.response()).status == 200


async def test_a_client_that_does_not_read_its_answer_makes_room() -> None:
    registry, wire = Registry(1), Wire()
    first = ServerConnection(Echo(), Limits(), registry)
    first.connection_made(wire)
    first.data_received(request("/a"))
    wire.unsent = 5
    second = Wire()
    ServerConnection(Echo(), Limits(), registry).connection_made(second)
    assert (wire.ended, second.ended) == (True, False)


@pytest.mark.parametrize("behind", ["", "GET", SLOW_BODY])
async def test_a_client_whose_request_is_at_the_engine_stays(start: Start, engine: Engine, behind: str) -> None:
    go = asyncio.Event()

    async def script(turn: Turn) -> None:
        await go.wait()
        await turn.reply(b"{}")

    engine.script = script
    async with start(limits={"connections": 2}) as gateway, connect(gateway.port) as one, connect(gateway.port) as two:
        for client in (one, two):
            await client.send(request(CHAT, b"{}") + behind.encode())
        await until(lambda: len(engine.requests) == 2, "both requests")
        assert (await ask(gateway.port, CHAT, b"{}")).status == 503
        go.set()
        assert [(await client.response()).status for client in (one, two)] == [200, 200]


async def test_the_client_that_has_used_up_most_of_its_time_is_closed_first(start: Start) -> None:
    async with start(limits={"connections": 3}) as gateway, connect(gateway.port) as old:
        await old.send(b"GET /v1")
        await asyncio.sleep(0.1)
        async with connect(gateway.port) as young, connect(gateway.port) as idle:
            await young.send(b"GET /v1")
            await asyncio.sleep(0.05)
            assert (await ask(gateway.port, CHAT, b"{}")).status == 200
            assert (await old.response()).code == "too_many_connections"
            assert await old.closed()
            for client, rest in ((young, b"/models HTTP/1.1\r\nHost: a\r\n\r\n"), (idle, request(CHAT, b"{}"))):
                await client.send(rest)
                assert (await client.response()).status == 200


async def test_a_body_that_arrives_stays(start: Start) -> None:
    body = bulk(400_000)
    async with start(limits={"connections": 1}) as gateway, connect(gateway.port) as client:
        await client.send(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body[:200_000])
        await until(lambda: held(gateway) == 200_000, "half of it")
        assert (await ask(gateway.port, CHAT, b"{}")).status == 503
        await client.send(body[200_000:])
        assert (await client.response()).status == 200


async def test_the_search_for_room_is_bounded_per_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def counted(self: ServerConnection, now: float) -> float:
        nonlocal looks
        looks += 1
        return used_share(self, now)

    used_share = ServerConnection.used_share
    monkeypatch.setattr(ServerConnection, "used_share", counted)
    registry = Registry(500)
    await asyncio.sleep(0.01)  # a turn of its own
    taken = 0
    for _ in range(5000):
        wire = Wire()
        connection = ServerConnection(Echo(), Limits(), registry)
        connection.connection_made(wire)
        connection.data_received(b"G")
        taken += not wire.ended
    assert taken > 500
    assert looks < 3 * MAX_EXAMINED


@pytest.mark.parametrize("drip", ["\r\n", "X"])
async def test_dripping_does_not_extend_the_deadline_of_a_head(start: Start, drip: str) -> None:
    async with start(limits={"header-seconds": 0.4}) as gateway, connect(gateway.port) as client:
        over = asyncio.create_task(client.rest())
        drips = 0
        with contextlib.suppress(ConnectionError):
            while not over.done():
                await client.send(drip.encode())
                await asyncio.sleep(0.05)
                drips += 1
            await over
        assert drips < 30


async def test_a_pipelined_head_or_body_gets_no_second_deadline(start: Start, engine: Engine) -> None:
    """Its deadline counts from its own first byte, not from the previous answer."""

    async def script(turn: Turn) -> None:
        await asyncio.sleep(0.5)
        await turn.reply(b"{}")

    engine.script = script
    async with start(limits={"body-seconds": 0.4}) as gateway, connect(gateway.port) as client:
        await client.send(request(CHAT, b"{}") + SLOW_BODY.encode())
        assert (await client.response()).status == 200
        async with asyncio.timeout(0.35):
            assert (await client.response()).status == 408


async def test_deadlines_that_pass_together_do_not_hold_the_loop() -> None:
    registry = Registry(500, period=0.01)
    wires = [Wire() for _ in range(500)]
    for wire in wires:
        connection = ServerConnection(Echo(), Limits(header_seconds=0), registry)
        connection.connection_made(wire)
        connection.data_received(b"GET")
    sweep = asyncio.create_task(registry.sweep())
    most = ended = 0
    while ended < len(wires):
        await asyncio.sleep(0)
        now = sum(b" 408 " in wire.written for wire in wires)
        most, ended = max(most, now - ended), now
    sweep.cancel()
    assert most <= registries._AT_A_TIME


def bulk(size: int) -> bytes:
    """Return a body with a long text in it."""
    return b'{"a":"%b"}' % (b"x" * size)


def held(gateway: Running) -> float:
    """Bytes of request bodies in the gateway's memory."""
    line = next(line for line in gateway.metrics.text().splitlines() if line.startswith(b"larder_request_bytes_held "))
    return float(line.split()[1])


async def large(gateway: Running, stack: contextlib.AsyncExitStack, held: int) -> Client:
    """Open a client that has sent so much of a body, and stops."""
    client = await stack.enter_async_context(connect(gateway.port))
    await client.send(f"{HEAD}Content-Length: {held + 1}\r\n\r\n".encode())
    await client.send(b" " * held)
    return client


async def test_large_bodies_leave_a_share_to_small_ones(start: Start) -> None:
    share = 16 * 2**20
    async with start(limits={"buffered-bytes": share}) as gateway, contextlib.AsyncExitStack() as stack:
        clients = [await large(gateway, stack, 3_500_000) for _ in range(5)]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                assert (await clients[-1].response()).status == 503
        for _ in range(10):
            assert (await ask(gateway.port, CHAT, bulk(60_000))).status == 200
        assert (await ask(gateway.port, CHAT, bulk(3 * SMALL_BODY))).status == 503


@pytest.mark.parametrize("size", [60_000, 3_000_000])
async def test_stalled_bodies_make_room(start: Start, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(registries, "STALE_SECONDS", 0.2)
    async with start(limits={"buffered-bytes": 16_700_000}) as gateway, contextlib.AsyncExitStack() as stack:
        clients = [await large(gateway, stack, 1_040_000) for _ in range(16)]
        await asyncio.sleep(0.4)
        for _ in range(3):
            assert (await ask(gateway.port, CHAT, bulk(size))).status == 200
        refused = await clients[0].response()
        assert (refused.status, refused.code, refused["retry-after"]) == (503, "overloaded", "2")
    await until(lambda: not held(gateway), "the bytes to be let go")


async def test_whole_bodies_that_wait_behind_a_request_make_room(
    start: Start, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registries, "STALE_SECONDS", 0.2)
    go = asyncio.Event()

    async def script(turn: Turn) -> None:
        if not go.is_set():
            await go.wait()
        await turn.reply(b"{}")

    engine.script = script
    async with start(limits={"buffered-bytes": 4 * 2**20}) as gateway, connect(gateway.port) as client:
        await client.send(request(CHAT, b"{}") + request(CHAT, bulk(1_000_000)) * 3)
        await until(lambda: held(gateway) > 3_000_000, "three bodies")
        await asyncio.sleep(0.4)
        other = asyncio.create_task(ask(gateway.port, CHAT, bulk(3_000_000)))
        await until(lambda: len(engine.requests) == 2, "the other request")
        go.set()
        assert (await other).status == 200
        assert [(await client.response()).status for _ in range(4)] == [200, 503, 503, 503]


async def test_heads_that_wait_behind_a_request_count_as_memory_for_bodies(start: Start, engine: Engine) -> None:
    go = asyncio.Event()

    async def script(turn: Turn) -> None:
        await go.wait()
        await turn.reply(b"{}")

    engine.script = script
    async with start(limits={"buffered-bytes": 200_000}) as gateway, connect(gateway.port) as client:
        large = request("/v1/models", headers=f"X: {'x' * 30_000}\r\n", method="GET")
        await client.send(request(CHAT, b"{}") + large * 20)
        await until(lambda: held(gateway) > 200_000, "the heads")
        assert held(gateway) < 250_000
        go.set()
        answers = [await client.response() for _ in range(8)]
        assert [answer.status for answer in answers] == [200] * 8
        assert answers[-1]["connection"] == "close"
        assert await client.closed()
    await until(lambda: not held(gateway), "the bytes to be let go")


async def test_a_head_of_too_many_headers_is_refused_before_it_ends(gateway: Running) -> None:
    async with connect(gateway.port) as client:
        await client.send(HEAD.encode() + b"a:b\r\n" * 2 * MOST_HEADERS)
        assert (await client.response()).status == 431


@pytest.mark.parametrize(
    ("stream", "most"),
    [
        (b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n" * 9000, 2 * PIPELINED),
        (b"POST /a HTTP/1.1\r\nHost: a\r\n" + b"a:\r\n" * 60_000, 2),
        (b"POST /missing HTTP/1.1\r\nHost: a\r\n\r\n" * 9000, 2 * PIPELINED),
        (b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" * 4000, 2 * PIPELINED),
    ],
    ids=["requests", "headers", "refused", "offers"],
)
async def test_one_read_is_bounded_work(monkeypatch: pytest.MonkeyPatch, stream: bytes, most: int) -> None:
    begun = 0

    class Counted(Request):
        def __init__(self) -> None:
            nonlocal begun
            begun += 1
            super().__init__()

    monkeypatch.setattr(reader, "Request", Counted)
    wire = Wire()
    connection = ServerConnection(Echo(), Limits(), Registry(1))
    connection.connection_made(wire)
    connection.data_received(stream)
    assert begun <= most


async def test_a_body_in_pieces_takes_no_more_memory_than_it_has_bytes(start: Start) -> None:
    import tracemalloc

    size = 200_000
    async with start() as gateway, connect(gateway.port) as client:
        await client.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        await client.send(b"2\r\nab\r\n" * (size // 2))
        await until(lambda: held(gateway) == size, "all of it")
        taken = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert taken < 3 * size


@pytest.mark.parametrize("rate", [200, 20_000])
async def test_a_client_that_reads_its_answer_too_slowly_is_disconnected(rate: int) -> None:
    """`rate` is in bytes per second; the limit is 1 kB."""
    registry, wire = Registry(1), Wire()
    connection = ServerConnection(Begun(), Limits(body_seconds=10), registry)
    connection.connection_made(wire)
    connection.data_received(request("/a"))
    wire.unsent = 2_000_000
    connection.pause_writing()
    now = connection.deadline
    for _ in range(5):
        wire.unsent = max(wire.unsent - 10 * rate, 0)
        connection.expire(now)
        now += 10
    assert wire.ended is (rate == 200)


class Begun(Echo):
    """An application whose answer goes on, and its own responder."""

    def respond(self, request: Request, client: ServerConnection) -> Outcome:
        client.write(b"HTTP/1.1 200 OK\r\n\r\n")
        return self

    def client_gone(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def expire(self) -> None: ...
