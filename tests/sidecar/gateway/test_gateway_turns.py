"""Pipelined requests of one connection: one turn of the loop answers one of them."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from larder_sidecar.config.gateway import Limits
from larder_sidecar.gateway.serve import Running
from larder_sidecar.http.answer import Answer
from larder_sidecar.http.application import Outcome
from larder_sidecar.http.listener import Listener
from larder_sidecar.http.registry import Registry
from larder_sidecar.http.request import Request
from larder_sidecar.http.server import PIPELINED, ServerConnection

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.scripted import TURN_SECONDS, WAIT, Client, Engine, Turn, connect, drained, request, until
from tests.sidecar.gateway.test_gateway_framing import Echo, Wire, all_answered

UNKNOWN = request(CHAT, b'{"model":"zzz"}')
"""The gateway answers it by itself, at once."""


class Counting(Echo):
    """Counts the answers in each turn of the loop."""

    def __init__(self) -> None:
        self.turn = 0
        self.answered: Counter[int] = Counter()
        self._loop = asyncio.get_running_loop()
        self._tick()

    def _tick(self) -> None:
        self.turn += 1
        self._next = self._loop.call_soon(self._tick)

    def respond(self, request: Request, client: ServerConnection) -> Outcome:
        self.answered[self.turn] += 1
        return super().respond(request, client)

    def stop(self) -> None:
        self._next.cancel()


@contextlib.asynccontextmanager
async def counting() -> AsyncIterator[tuple[Counting, Registry, int]]:
    app, registry = Counting(), Registry(100)
    listener = await Listener.open("listen", "127.0.0.1:0", lambda: ServerConnection(app, Limits(), registry))
    try:
        yield app, registry, listener.port
    finally:
        app.stop()
        registry.close_all()
        listener.close()


@pytest.mark.parametrize("clients", [1, 5])
async def test_a_turn_answers_one_waiting_request_of_all_clients(clients: int) -> None:
    async with counting() as (app, _, port), contextlib.AsyncExitStack() as stack:
        senders = [await stack.enter_async_context(connect(port)) for _ in range(clients)]
        for sender in senders:
            await sender.send(request("/a", b"hello") * 40)
        for _ in range(40):
            for sender in senders:
                assert (await sender.response()).status == 200
        assert sum(app.answered.values()) == 40 * clients
        # Of each connection the first one, which waits for no other, and one of all others.
        assert max(app.answered.values()) <= clients + 1
        assert len(app.answered) >= 39 * clients


async def test_a_request_without_others_waiting_needs_no_turn_of_its_own() -> None:
    registry, wire = Registry(1), Wire()
    connection = ServerConnection(Echo(), Limits(), registry)
    connection.connection_made(wire)
    connection.data_received(request("/a", b"hello"))
    assert wire.written.startswith(b"HTTP/1.1 200 ")
    assert not connection.waits


async def test_probes_are_answered_between_the_requests_of_a_queue(gateway: Running, engine: Engine) -> None:
    go = asyncio.Event()

    async def script(turn: Turn) -> None:
        await go.wait()
        await turn.reply(b"{}")

    engine.script = script
    body = b'{"model":"zzz","a":' + b"[" * 40_000 + b"]" * 40_000 + b"}"
    async with connect(gateway.port, limit=2**20) as client, connect(gateway.admin_port) as probe:
        await client.send(request(CHAT, b"{}") + request(CHAT, body) * (PIPELINED - 2))
        await until(lambda: gateway.lifecycle.in_flight == 1, "the queue")
        answered = asyncio.create_task(_answers(client, PIPELINED - 1))
        go.set()
        live = 0
        while not answered.done():
            await probe.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await probe.response()).status == 200
            live += 1
        assert set(await answered) == {200, 404}
        assert live > 10


async def _answers(client: Client, count: int) -> list[int]:
    return [(await client.response()).status for _ in range(count)]


class Pausing(Wire):
    """A transport that counts its pauses."""

    pauses = 0

    def pause_reading(self) -> None:
        self.pauses += 1

    def resume_reading(self) -> None: ...


CODINGS = {
    "plain": "Transfer-Encoding: chunked\r\n",
    "tab": "Transfer-Encoding: chunked\t\r\n",
    "upgrade": "Transfer-Encoding: chunked\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("before", [b"", request("/b", b"hello"), request("/b", b"h" * 50_000)])
async def test_a_body_in_very_many_pieces_is_taken_in_turns_of_the_loop(coding: str, before: bytes) -> None:
    connection, wire = ServerConnection(Echo(), Limits(), Registry(1)), Pausing()
    connection.connection_made(wire)
    body = bytes(range(97, 123)) * 1500
    head = f"POST /a HTTP/1.1\r\nHost: x\r\n{CODINGS[coding]}\r\n".encode()
    sent = before + head + b"".join(b"1\r\n%c\r\n" % letter for letter in body) + b"0\r\n\r\n" + request("/c")
    began, worst = time.thread_time(), 0.0
    connection.data_received(sent)
    count = 2 + bool(before)
    while wire.written.count(b"HTTP/1.1 200 ") < count:
        worst = max(worst, time.thread_time() - began)
        began = time.thread_time()
        await asyncio.sleep(0)
    assert body in wire.written
    assert wire.pauses >= 6
    assert worst < TURN_SECONDS


async def test_the_rest_of_a_body_in_many_pieces_is_forgotten_with_its_client() -> None:
    registry, wire = Registry(1), Pausing()
    connection = ServerConnection(Echo(), Limits(), registry)
    connection.connection_made(wire)
    connection.data_received(
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 40_000
    )
    assert registry.held
    wire.close()
    connection.connection_lost(None)
    await asyncio.sleep(0.01)
    assert (registry.held, wire.written) == (0, b"")


async def test_waiting_requests_of_a_client_that_leaves_do_not_reach_the_engine(
    gateway: Running, engine: Engine
) -> None:
    async with connect(gateway.port) as client:
        await client.send(UNKNOWN * 20 + request(CHAT, b"{}"))
        client.writer.transport.abort()
    await until(lambda: b"larder_connections 0.0" in gateway.metrics.text(), "its end")
    await asyncio.sleep(0.05)
    assert not engine.requests
    assert b"larder_request_bytes_held 0.0" in gateway.metrics.text()


async def test_requests_that_wait_when_a_drain_begins_are_answered_as_before_it(start: Start, engine: Engine) -> None:
    """Only the request in flight is answered, with `Connection: close`; the client sends the others again."""
    go = asyncio.Event()

    async def script(turn: Turn) -> None:
        await go.wait()
        await turn.reply(b"{}")

    engine.script = script
    async with start(drain={"serve-seconds": 0, "grace-seconds": 8}) as gateway, connect(gateway.port) as client:
        await client.send(request(CHAT, b"{}") + UNKNOWN * 3)
        await until(lambda: len(engine.requests) == 1, "the first")
        drain = asyncio.create_task(drained(gateway))
        await until(lambda: gateway.lifecycle.refusing, "the drain to refuse")
        go.set()
        answer = await client.response()
        assert (answer.status, answer["connection"]) == (200, "close")
        assert await client.closed()
        assert (await asyncio.wait_for(drain, WAIT))[1]["in_flight"] == 0


async def test_a_body_that_is_asked_for_waits_for_the_requests_before_it(gateway: Running) -> None:
    async with connect(gateway.port) as client:
        late = f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n".encode()
        await client.send(UNKNOWN * 5 + late)
        assert [(await client.response()).status for _ in range(5)] == [404] * 5
        assert (await client.head())[0] == 100
        await client.send(b"{}")
        assert (await client.response()).status == 200


async def test_the_deadline_of_a_client_does_not_end_requests_that_wait_for_a_turn() -> None:
    registry, wire = Registry(1), Wire()
    connection = ServerConnection(Echo(), Limits(idle_seconds=0, header_seconds=0), registry)
    connection.connection_made(wire)
    connection.data_received(request("/a") * 3)
    connection.expire(connection.loop.time() + 1)
    await all_answered(connection)
    assert wire.written.count(b"HTTP/1.1 200 ") == 3
    assert not wire.ended


class Failing(Echo):
    """An application with a fault."""

    def __init__(self, where: str) -> None:
        self._where = where

    def _fail(self, where: str, request: Request) -> None:
        if where == self._where and request.path == "/fails":
            raise RecursionError

    def admit(self, request: Request) -> Answer | None:
        self._fail("admit", request)
        return super().admit(request)

    def respond(self, request: Request, client: ServerConnection) -> Outcome:
        self._fail("respond", request)
        return super().respond(request, client)

    def finished(self, request: Request) -> None:
        self._fail("finished", request)


@pytest.mark.parametrize(
    ("where", "statuses"), [("admit", [200, 500]), ("respond", [200, 500, 200]), ("finished", [200, 200, 200])]
)
async def test_a_failing_request_is_answered_and_so_are_the_others(where: str, statuses: list[int]) -> None:
    told: list[object] = []
    loop, registry = asyncio.get_running_loop(), Registry(10)
    loop.set_exception_handler(lambda _, context: told.append(type(context["exception"])))
    listener = await Listener.open(
        "listen", "127.0.0.1:0", lambda: ServerConnection(Failing(where), Limits(), registry)
    )
    async with connect(listener.port) as client:
        await client.send(request("/a") + request("/fails") + request("/c"))
        assert [(await client.response()).status for _ in statuses] == statuses
    await until(lambda: not len(registry), "its end")
    assert told == [RecursionError]
    assert registry.held == 0
    listener.close()
