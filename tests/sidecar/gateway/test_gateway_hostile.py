"""Hostile bodies: each gets an answer, and no other client waits for it."""

import asyncio
import json
import time
from collections.abc import Callable

import pytest
from larder_sidecar.gateway import splice
from larder_sidecar.gateway.serve import Running
from larder_sidecar.gateway.turns import Turns, Working

from bench import hostile
from tests.examples import some_of
from tests.sidecar.gateway.conftest import CHAT, Lines, Start
from tests.sidecar.gateway.holding import Holding
from tests.sidecar.gateway.resident import With
from tests.sidecar.gateway.scripted import TURN_SECONDS, Engine, Response, Turn, admin, ask, connect, request, until
from tests.sidecar.gateway.test_splice import BODIES

GOOD = b'{"model":"tiny"}'
ROUTE = "/api/llm/route"
DEEP = [b'{"model":' + b"[" * depth + b"]" * depth + b"}" for depth in (900, 990, 1100, 2000, 100_000)] + [
    b'{"model":' + b'{"a":' * depth for depth in (990, 100_000)
]


@pytest.mark.parametrize("path", [CHAT, ROUTE, "/api/chat", "/v1/messages", "/api/show"])
@pytest.mark.parametrize("body", DEEP, ids=len)
async def test_a_model_of_any_depth_is_a_bad_body(gateway: Running, path: str, body: bytes) -> None:
    response = await ask(gateway.port, path, body)
    assert response.status == 400
    assert "must be a string" in message(response)


@pytest.mark.parametrize("path", ["/api/llm/preload", "/api/llm/unload", "/api/llm/pin"])
@pytest.mark.parametrize(
    "body", [b'{"model":' + b"[" * 2000, b"[" * 4000, b'{"a":' * 800, b"\xff", b'{"model":"\\ud800"}']
)
async def test_operators_get_an_answer_to_any_body(start: Start, path: str, body: bytes) -> None:
    async with start(auth={"mutations": "open"}) as gateway:
        response = await ask(gateway.port, path, body, "Content-Type: application/json\r\n")
        assert response.status in (400, 404)


async def test_good_requests_behind_a_bad_one_are_answered(gateway: Running) -> None:
    async with connect(gateway.port) as client:
        await client.send(request(CHAT, GOOD) + request(CHAT, DEEP[3]) + request(CHAT, GOOD))
        assert [(await client.response()).status for _ in range(3)] == [200, 400, 200]


def message(response: Response) -> str:
    """Return the message of an error in any shape."""
    fault = response.json()["error"]
    return str(fault["message"] if isinstance(fault, dict) else fault)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the thread CPU seconds of each slice."""
    taken: list[float] = []
    for owner, name in ((Turns, "run"), (Working, "step")):
        monkeypatch.setattr(owner, name, timed(getattr(owner, name), taken))
    return taken


def timed(of: Callable, taken: list[float]) -> Callable:
    def call(*given: object) -> object:
        began = time.thread_time()
        try:
            return of(*given)
        finally:
            taken.append(time.thread_time() - began)

    return call


@pytest.mark.parametrize("shape", some_of(BODIES))
async def test_no_body_holds_the_loop(gateway: Running, turns: list[float], shape: str) -> None:
    for path in (CHAT, ROUTE):
        assert (await ask(gateway.port, path, BODIES[shape])).status in (200, 400, 404)
    assert max(turns) < TURN_SECONDS


NAMES = [
    "caf\udce9",
    "\ud800",
    "a\x00b",
    "x" * 4000,
    "x" * 2**20,
    "a\r\nset-cookie: b",
    '"',
    "\x1b[31m",
    "語" * 1000,
    "\U0001f600" * 900,
]


@pytest.mark.parametrize("path", [CHAT, ROUTE, "/api/show"])
@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_a_strange_name_is_unknown_and_reported_in_short_plain_text(
    gateway: Running, log: Lines, name: str, path: str
) -> None:
    response = await ask(gateway.port, path, json.dumps({"model": name}).encode())
    assert response.status in (400, 404)
    assert len(message(response)) < 1500
    assert message(response).isprintable()
    assert (await ask(gateway.port, CHAT, GOOD)).status == 200
    assert all(json.loads(line) for line in log.text.splitlines())


@pytest.mark.parametrize("auto", [b'{"model":"auto",', b"{"])
async def test_rules_run_in_turns_of_the_loop(start: Start, turns: list[float], auto: bytes, engine: Engine) -> None:
    words = [f"(?i)(write|explain).*(code|class|text) {n}" for n in range(190)] + [".{1,400}z.{1,60}q"]
    rules = [{"pattern": word, "model": "tiny"} for word in words]
    body = auto + b'"messages":[{"role":"user","content":"' + b"write code " * 350_000 + b'"}]}'
    async with start(routing={"default": "tiny", "rules": rules}) as gateway:
        assert (await ask(gateway.port, CHAT, body)).status == 200
    assert engine.requests[-1].body.startswith(b'{"model":"tiny:q4"')
    assert len(turns) > 3
    assert max(turns) < TURN_SECONDS


async def test_others_are_answered_while_a_long_body_is_read(gateway: Running, engine: Engine) -> None:
    body = hostile.body("short strings", 30 * hostile.MIB)
    async with connect(gateway.port) as slow, connect(gateway.port) as quick:
        await slow.send(request(CHAT, body))
        for _ in range(10):
            await quick.send(request(CHAT, GOOD))
            assert (await asyncio.wait_for(quick.response(), 1)).status == 200
        assert (await slow.response()).status in (200, 404)


async def test_a_client_that_leaves_while_its_body_is_read_is_forgotten(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splice, "SLICE", 1000)
    async with connect(gateway.port) as client:
        await client.send(request(CHAT, b'{"a":[' + b"1," * 2**22 + b'0],"model":"tiny"}'))
        await until(lambda: b"larder_requests_in_flight 1.0" in gateway.metrics.text(), "the request")
    await until(lambda: b"larder_requests_in_flight 0.0" in gateway.metrics.text(), "the end")
    assert b"larder_request_bytes_held 0.0" in gateway.metrics.text()
    assert (await ask(gateway.port, CHAT, GOOD)).status == 200


async def test_a_long_body_that_waits_for_its_model_gets_its_heartbeat(resident: With, ollama: Holding) -> None:
    body = b'{"messages":[' + b'{"content":"a"},' * 100_000 + b'0],"model":"a","stream":true}'
    ollama.free.clear()
    async with resident(**{"heartbeat-seconds": 0.05}) as running, connect(running.port) as client:
        await client.post(CHAT, body)
        assert (await client.head())[0] == 200
        assert (await client.chunk()).startswith(b": loading\n")
        ollama.free.set()


async def test_a_body_with_two_stream_members_waits_without_a_heartbeat(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident(**{"heartbeat-seconds": 0.05}) as running:
        waits = asyncio.create_task(ask(running.port, CHAT, b'{"model":"a","stream":true,"STREAM":true}'))
        await asyncio.sleep(0.2)
        ollama.free.set()
        assert b"loading" not in (await waits).body


@pytest.mark.parametrize("steps", [1, 3])
async def test_an_internal_error_is_answered(gateway: Running, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    def broken(*_: object):
        for _pause in range(steps - 1):
            yield
        raise RuntimeError

    monkeypatch.setattr(splice, "scan", broken)
    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["exception"]))
    async with connect(gateway.port) as client:
        for _ in range(2):
            await client.post(CHAT, GOOD)
            assert (await client.response()).status == 500
    assert len(heard) == 2


async def test_an_endless_answer_to_a_health_check_is_unhealthy(gateway: Running, engine: Engine) -> None:
    sent = 0

    async def script(turn: Turn) -> None:
        nonlocal sent
        await turn.stream_head("application/json")
        while not turn.gone.is_set():
            await turn.chunk(b" " * 2**16)
            sent += 2**16

    engine.script = script
    status, told = await admin(gateway, "/enginez")
    assert status == 503
    assert "more than" in json.dumps(told)
    assert sent < 2**24


@pytest.mark.parametrize("size", [100_000, 3_000_000, 20_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_long_body_arrives_as_it_was_sent(
    gateway: Running, engine: Engine, turns: list[float], size: int, chunked: bool
) -> None:
    said = b'{"messages":[{"role":"user","content":"' + b"word " * (size // 5) + b'"}],"model":"tiny"}'
    async with connect(gateway.port) as client:
        if chunked:
            await client.send(f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            for at in range(0, len(said), 300_000):
                piece = said[at : at + 300_000]
                await client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await client.send(b"0\r\n\r\n")
        else:
            await client.send(request(CHAT, said))
        assert (await client.response()).status == 200
    assert engine.requests[-1].body == said.replace(b'"model":"tiny"', b'"model":"tiny:q4"')
    assert max(turns) < TURN_SECONDS
