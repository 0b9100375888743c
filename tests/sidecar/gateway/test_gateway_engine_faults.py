"""Clients that leave stop the engine; failures of engines are reported to the client."""

import asyncio
import contextlib
import gzip
import json
import re
import time

import pytest
from larder_sidecar.gateway import exchange
from larder_sidecar.gateway.lines import LONGEST
from larder_sidecar.gateway.serve import Running
from larder_sidecar.http.pool import Pool

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.scripted import WAIT, Engine, Turn, ask, connect, until


def count(gateway: Running, name: str) -> float:
    match = re.search(rf"^{re.escape(name)} (\S+)$", gateway.metrics.text().decode(), re.MULTILINE)
    return float(match.group(1)) if match else 0


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("window", ["headers", "first_byte", "stream"])
async def test_a_client_that_leaves_stops_the_engine(
    gateway: Running, engine: Engine, window: str, stream: bool
) -> None:
    reached, gone = asyncio.Event(), asyncio.Event()

    async def script(turn: Turn) -> None:
        head = b"Transfer-Encoding: chunked" if stream else b"Content-Length: 100"
        if window != "headers":
            await turn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + head + b"\r\n\r\n")
        if window == "stream":
            await turn.send(b"5\r\nhell\n\r\n" if stream else b"hell\n")
        reached.set()
        await turn.gone.wait()
        gone.set()

    engine.script = script
    async with connect(gateway.port) as client:
        await client.post(CHAT, b"{}")
        await asyncio.wait_for(reached.wait(), WAIT)
        if window != "headers":
            await client.head()
        if window == "stream":
            await client.reader.readexactly(5)
    await asyncio.wait_for(gone.wait(), 1)
    assert count(gateway, f'larder_upstream_aborts_total{{phase="{window}"}}') == 1


async def test_a_client_that_leaves_while_we_connect_is_forgotten(start: Start, engine: Engine) -> None:
    await engine.stop()
    async with start() as gateway:
        async with connect(gateway.port) as client:
            await client.post(CHAT, b"{}")
            await until(lambda: count(gateway, "larder_upstream_connect_errors_total") >= 1, "the first try")
        await until(lambda: count(gateway, 'larder_upstream_aborts_total{phase="connect"}') == 1, "the count")


SSE = ("text/event-stream", CHAT, b'data: {"n":1}\n\n')
ANTHROPIC = ("text/event-stream", "/v1/messages", b"event: ping\ndata: {}\n\n")
NDJSON = ("application/x-ndjson", "/api/chat", b'{"done":false}\n')


@pytest.mark.parametrize(("content_type", "path", "line"), [SSE, ANTHROPIC, NDJSON])
@pytest.mark.parametrize("how", ["closed", "unfinished", "stalled"])
async def test_a_stream_that_breaks_ends_with_an_error(
    start: Start, engine: Engine, how: str, content_type: str, path: str, line: bytes
) -> None:
    async def script(turn: Turn) -> None:
        await turn.stream_head(content_type)
        await turn.chunk(line)
        if how == "closed":
            turn.reset()
        elif how == "unfinished":
            await turn.end()
        else:
            await turn.gone.wait()

    engine.script = script
    async with start(limits={"response-seconds": 0.3}) as gateway:
        response = await ask(gateway.port, path, b"{}")
        assert count(gateway, f'larder_stream_truncated_total{{reason="{how}"}}') == 1
    assert response.body.startswith(line)
    last = response.body[len(line) :]
    if path == CHAT:
        assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "upstream_failed"
        assert last.endswith(b"}\n\n")
    elif path == "/v1/messages":
        assert last.startswith(b'event: error\ndata: {"type": "error", "error": {"type": "api_error"')
    else:
        assert list(json.loads(last)) == ["error"]


FAULT = b'data: {"error": '
NAMED = b'event: error\ndata: {"type": "error"'
LINE = b'{"error": '


@pytest.mark.parametrize(
    ("path", "passed", "cut", "fault"),
    [
        (CHAT, b"", b'data: {"cho', FAULT),
        (CHAT, b"data: {}\n\n", b'data: {"cho', FAULT),
        (CHAT, b"data: {}\r\n\r\n", b"da", FAULT),
        (CHAT, b"data: {}\r\r", b'data: {"cho', FAULT),
        (CHAT, b": loading\n", b'data: {"cho', FAULT),
        (CHAT, b"data: {}\n", b"", b"\n" + FAULT),
        (CHAT, b"data: {}\r\n", b"da", b"\n" + FAULT),
        (CHAT, b"data: {}\r", b"", b"\n" + FAULT),
        (CHAT, b"data: {" + b" " * LONGEST, b"", b"\n\n" + FAULT),
        ("/v1/messages", b"event: content_block_delta\n", b'data: {"ty', NAMED),
        ("/v1/messages", b"event: content_block_delta\ndata: {}\n", b"", b"\n" + NAMED),
        ("/v1/messages", b"event: ping\ndata: {}\n\n", b"event: content_bl", NAMED),
        ("/v1/responses", b"event: response.created\ndata: {}\n\n", b'data: {"ty', NAMED),
        ("/api/chat", b"", b'{"message":', LINE),
        ("/api/chat", b'{"done":false}\n', b'{"message":', LINE),
        ("/api/chat", b'{"done":false}\r\n', b'{"message":', LINE),
        ("/api/chat", b'{"message":"' + b" " * LONGEST, b"", b"\n" + LINE),
    ],
)
@pytest.mark.parametrize("pieces", ["one", "two", "bytes"])
@pytest.mark.parametrize("how", ["reset", "end"])
async def test_clients_never_see_half_a_line_before_an_error(
    gateway: Running, engine: Engine, path: str, passed: bytes, cut: bytes, fault: bytes, pieces: str, how: str
) -> None:
    """A client that parses half an event reports its own fault in place of the gateway's reason."""
    said = passed + cut
    size = {"one": len(said), "two": max(len(passed), 1), "bytes": max(1, len(said) // 40)}[pieces]

    async def script(turn: Turn) -> None:
        await turn.stream_head("application/x-ndjson" if path == "/api/chat" else "text/event-stream")
        for at in range(0, len(said), size):
            await turn.chunk(said[at : at + size])
            await asyncio.sleep(0.002)
        if how == "reset":
            turn.reset()
        else:
            await turn.end()

    engine.script = script
    body = (await ask(gateway.port, path, b"{}")).body
    assert body.startswith(passed + fault), body[-300:]
    assert b"the engine" in body[len(passed) :]


@pytest.mark.parametrize(
    ("content_type", "path", "pieces"),
    [
        ("text/event-stream", CHAT, [b"data: {}\n\ndata: [DO", b"NE]\n\n"]),
        ("text/event-stream", "/v1/messages", [b"event: message_stop\ndata: {}\n\n"]),
        ("text/event-stream", "/v1/responses", [b"event: a\n\nevent: response.compl", b"eted\ndata: {}\n\n"]),
        ("application/x-ndjson", "/api/generate", [b'{"done":false}\n', b'{"a":1,"do', b'ne":true}\n']),
        ("application/json", CHAT, [b"{}"]),
    ],
)
async def test_a_complete_stream_gets_no_error(
    gateway: Running, engine: Engine, content_type: str, path: str, pieces: list[bytes]
) -> None:
    async def script(turn: Turn) -> None:
        await turn.stream_head(content_type)
        for piece in pieces:
            await turn.chunk(piece)
            await asyncio.sleep(0.01)
        await turn.end()

    engine.script = script
    assert (await ask(gateway.port, path, b"{}")).body == b"".join(pieces)
    assert "truncated_total{" in gateway.metrics.text().decode()
    assert not re.search(r"^larder_stream_truncated_total.* 1\.0$", gateway.metrics.text().decode(), re.MULTILINE)


@pytest.mark.parametrize(("content_type", "path", "line"), [SSE, ANTHROPIC, NDJSON])
async def test_nothing_is_added_to_a_compressed_stream(
    gateway: Running, engine: Engine, content_type: str, path: str, line: bytes
) -> None:
    packed = gzip.compress(line)

    async def script(turn: Turn) -> None:
        await turn.stream_head(f"{content_type}\r\nContent-Encoding: gzip")
        await turn.chunk(packed)
        await turn.end()

    engine.script = script
    assert (await ask(gateway.port, path, b"{}")).body == packed


async def test_text_that_speaks_of_the_end_is_not_the_end(gateway: Running, engine: Engine) -> None:
    said = b"data: " + json.dumps({"content": '\ndata: [DONE]\n"done":true'}).encode() + b"\n\n"

    async def script(turn: Turn) -> None:
        await turn.stream_head()
        await turn.chunk(said)
        await turn.end()

    engine.script = script
    response = await ask(gateway.port, CHAT, b"{}")
    assert b"upstream_failed" in response.body.removeprefix(said)


async def test_an_error_line_of_the_engine_is_counted_and_not_repeated(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.stream_head("application/x-ndjson")
        await turn.chunk(b'{"done":false}\n{"error":"out of memory"}\n')
        await turn.end()

    engine.script = script
    response = await ask(gateway.port, "/api/chat", b"{}")
    assert response.body == b'{"done":false}\n{"error":"out of memory"}\n'
    assert count(gateway, 'larder_stream_truncated_total{reason="engine_error"}') == 1


ABORT = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"abort"}]}\n\n'
TOLD = b'data: {"error":{"message":"gone"}}\n\n'
DONE = b"data: [DONE]\n\n"
CALL = b'{"message":{"tool_calls":[{"function":{"arguments":{"done":true}}}]},"done":false}\n'


@pytest.mark.parametrize(
    ("path", "said", "adds", "reason"),
    [
        (CHAT, ABORT + DONE, False, "engine_error"),
        (CHAT, ABORT, True, "unfinished"),
        (CHAT, TOLD + DONE, False, "engine_error"),
        (CHAT, TOLD, False, "engine_error"),
        ("/api/chat", CALL, True, "unfinished"),
        ("/api/chat", CALL.replace(b'":', b'" : '), True, "unfinished"),
        ("/v1/messages", b'event: error\ndata: {"type":"error"}\n\n', False, "engine_error"),
    ],
)
async def test_an_aborted_answer_is_counted_and_reported_once(
    gateway: Running, engine: Engine, path: str, said: bytes, adds: bool, reason: str
) -> None:
    async def script(turn: Turn) -> None:
        await turn.stream_head("application/x-ndjson" if path == "/api/chat" else "text/event-stream")
        await turn.chunk(said)
        await turn.end()

    engine.script = script
    response = await ask(gateway.port, path, b"{}")
    assert response.body.startswith(said)
    assert (b"error" in response.body.removeprefix(said)) == adds
    assert count(gateway, f'larder_stream_truncated_total{{reason="{reason}"}}') == 1


@pytest.mark.parametrize(
    "said", [CALL, CALL[:-1], b'{"done":true', b'{"message":{"content":"\\"done\\":true"},"done":false}\n']
)
async def test_an_engine_that_dies_after_a_tool_call_is_reported_to_the_client(
    gateway: Running, engine: Engine, said: bytes
) -> None:
    async def script(turn: Turn) -> None:
        await turn.stream_head("application/x-ndjson")
        await turn.chunk(said)
        turn.reset()

    engine.script = script
    response = await ask(gateway.port, "/api/chat", b"{}")
    assert list(json.loads(response.body.splitlines()[-1])) == ["error"]
    assert count(gateway, 'larder_stream_truncated_total{reason="closed"}') == 1


async def test_an_engine_that_dies_after_its_last_event_or_error_adds_nothing(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.stream_head()
        await turn.chunk(said)
        turn.reset()

    engine.script = script
    for said in (DONE, TOLD):
        assert (await ask(gateway.port, CHAT, b"{}")).body == said


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_a_plain_answer_that_breaks_ends_with_a_reset(gateway: Running, engine: Engine, framing: str) -> None:
    async def script(turn: Turn) -> None:
        part = b"hello" if "Length" in framing else b"5\r\nhello\r\n"
        await turn.send(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{framing}\r\n\r\n".encode(), part)
        turn.reset()

    engine.script = script
    async with connect(gateway.port) as client:
        await client.post(CHAT, b"{}")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.response()
    assert count(gateway, 'larder_stream_truncated_total{reason="closed"}') == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_an_engine_that_does_not_speak_http_is_a_bad_gateway(
    gateway: Running, engine: Engine, raw: bytes
) -> None:
    async def script(turn: Turn) -> None:
        await turn.send(raw)
        await turn.gone.wait()

    engine.script = script
    response = await ask(gateway.port, CHAT, b"{}")
    assert (response.status, response.code) == (502, "engine_failed")


@pytest.mark.parametrize(
    ("begin", "endless"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\nA: ", b"a" * 8192),
        (b"HTTP/1.1 200 ", b"a" * 8192),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" * 100),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ", b"a" * 8192),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=", b"a" * 8192),
    ],
)
async def test_an_engines_head_and_chunk_overhead_are_bounded(
    gateway: Running, engine: Engine, begin: bytes, endless: bytes
) -> None:
    sent = 0

    async def script(turn: Turn) -> None:
        nonlocal sent
        await turn.send(begin)
        while sent < 16 * 2**20 and not turn.gone.is_set():
            await turn.send(endless)
            sent += len(endless)

    engine.script = script
    async with connect(gateway.port) as client:
        await client.post(CHAT, b"{}")
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):  # part of an answer was sent
            response = await client.response()
            assert (response.status, response.code) == (502, "engine_failed")
    await until(lambda: engine.open_connections == 0, "the end of the engine's connection")
    assert sent < 16 * 2**20


async def test_a_second_answer_never_reaches_the_next_client(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.reply(b"one")
        if len(engine.requests) == 1:
            await turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray")

    engine.script = script
    for _ in range(2):
        response = await ask(gateway.port, CHAT, b"{}")
        assert response.body == b"one" or response.status == 502
        await asyncio.sleep(0.02)
    assert engine.connections == 2


async def test_a_kept_connection_that_was_closed_is_no_failure(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        if len(engine.requests) == 2:
            turn.reset()  # instead of an answer: the request crossed the engine's close
        else:
            await turn.reply(b"ok")

    engine.script = script
    for _ in range(2):
        assert (await ask(gateway.port, CHAT, b'{"n":1}')).body == b"ok"
    assert [r.body for r in engine.requests] == [b'{"model":"tiny:q4","n":1}'] * 3
    assert [r.connection for r in engine.requests] == [1, 1, 2]
    assert count(gateway, "larder_upstream_retries_total") == 1


async def test_a_request_is_sent_once_on_a_new_connection(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        turn.reset()

    engine.script = script
    response = await ask(gateway.port, CHAT, b"{}")
    assert (response.status, response.code, len(engine.requests)) == (502, "engine_failed", 1)


async def test_an_engine_that_still_listens_after_a_kill_loses_no_request(start: Start, engine: Engine) -> None:
    """It listens until its memory is freed: it drops the kept connection, and some that it accepts later."""

    async def script(turn: Turn) -> None:
        if 2 <= len(engine.requests) <= 4:
            turn.reset()
        else:
            await turn.reply(b"ok")

    engine.script = script
    async with start(limits={"hold-seconds": 3}) as gateway:
        for _ in range(2):
            assert (await ask(gateway.port, CHAT, b"{}")).body == b"ok"


async def test_a_request_that_kills_engines_is_not_sent_for_ever(
    start: Start, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "DYING_SECONDS", 0.05)

    async def script(turn: Turn) -> None:
        turn.reset()

    engine.script = script
    async with start(limits={"hold-seconds": 3}) as gateway:
        response = await ask(gateway.port, CHAT, b"{}")
    assert (response.status, response.code, len(engine.requests)) == (502, "engine_failed", 2)


async def test_a_request_is_not_sent_again_after_the_first_byte(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        if len(engine.requests) == 2:
            await turn.send(b"HTTP/1.1 2")
            turn.close()
        else:
            await turn.reply(b"ok")

    engine.script = script
    assert (await ask(gateway.port, CHAT, b"{}")).status == 200
    assert (await ask(gateway.port, CHAT, b"{}")).status == 502
    assert len(engine.requests) == 2


async def test_a_silent_engine_is_a_timeout(start: Start, engine: Engine) -> None:
    gone = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.gone.wait()
        gone.set()

    engine.script = script
    async with start(limits={"response-seconds": 0.2}) as gateway:
        response = await ask(gateway.port, CHAT, b"{}")
        assert (response.status, response.code) == (504, "engine_timeout")
        await asyncio.wait_for(gone.wait(), WAIT)


async def test_an_engine_that_is_down_is_reported_and_found_again(gateway: Running, engine: Engine) -> None:
    assert (await ask(gateway.port, CHAT, b"{}")).status == 200
    await engine.stop()
    response = await ask(gateway.port, CHAT, b"{}")
    assert (response.status, response.code, response["retry-after"]) == (503, "engine_unavailable", "2")
    waiting = asyncio.create_task(ask(gateway.port, CHAT, b"{}"))
    await asyncio.sleep(0.05)
    await engine.start()
    assert (await waiting).status == 200  # it came back while we were trying


async def test_clients_that_leave_at_any_moment_leave_nothing_behind(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.stream_head()
        for _ in range(20):
            await turn.chunk(b"data: x\n\n")
            await asyncio.sleep(0.001)
        await turn.chunk(b"data: [DONE]\n\n")
        await turn.end()

    async def visit(delay: float) -> None:
        async with connect(gateway.port) as client:
            await client.post(CHAT, b"{}")
            await asyncio.sleep(delay)
            client.writer.transport.abort()

    engine.script = script
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    await asyncio.gather(*(visit(n * 0.0005) for n in range(80)))
    await until(lambda: count(gateway, "larder_connections") == 0, "the connections to close")
    assert (await ask(gateway.port, CHAT, b"{}")).body.endswith(b"data: [DONE]\n\n")
    assert faults == []


async def test_a_connection_whose_request_was_cancelled_is_closed(engine: Engine) -> None:
    pool = Pool(engine.url, 5)
    cancelled = 0
    for turns in range(40):
        task = asyncio.create_task(pool.connect())
        for _ in range(turns):
            await asyncio.sleep(0)
        if task.cancel():
            cancelled += 1
            await asyncio.gather(task, return_exceptions=True)
        else:
            task.result().close()
    (await pool.connect()).close()  # the engine takes them in turn: with this one it has taken all before
    await until(lambda: engine.open_connections == 0, "the connections to close")
    assert cancelled >= 3
    assert engine.connections > 1
    await until(lambda: pool.busy == 0, "the pool to forget them")


async def test_a_request_is_held_while_the_engine_restarts(start: Start, engine: Engine) -> None:
    async with start(limits={"hold-seconds": 5}) as gateway:
        await engine.stop()
        asking = asyncio.create_task(ask(gateway.port, CHAT, b"{}"))
        await asyncio.sleep(0.6)
        assert not asking.done()
        await engine.start()
        assert (await asking).status == 200


async def test_a_request_is_held_no_longer_than_its_limit(start: Start, engine: Engine) -> None:
    async with start(limits={"hold-seconds": 0.5}) as gateway:
        await engine.stop()
        began = time.monotonic()
        refused = await ask(gateway.port, CHAT, b"{}")
        assert (refused.status, refused.code, refused["retry-after"]) == (503, "engine_unavailable", "2")
        assert 0.5 <= time.monotonic() - began < 3


async def test_a_held_request_ends_with_its_client(start: Start, engine: Engine) -> None:
    async with start(limits={"hold-seconds": 60}) as gateway:
        await engine.stop()
        async with connect(gateway.port) as client:
            await client.post(CHAT, b"{}")
            await asyncio.sleep(0.3)
        await until(lambda: gateway.lifecycle.in_flight == 0, "the request to be forgotten")
