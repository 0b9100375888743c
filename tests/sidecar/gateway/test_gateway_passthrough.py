"""Requests pass unchanged, except for the model's name and the headers of the connection."""

import asyncio
import json

import pytest
from larder_sidecar.gateway.serve import Running

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.scripted import Engine, Turn, ask, connect, request, until


@pytest.mark.parametrize(
    ("sent", "reached"),
    [
        (b'{"model":"tiny","x":1.50}', b'{"model":"tiny:q4","x":1.50}'),
        (b'{ "a" : [ "model" ] , "model" : "GPT-3.5-Turbo" }', b'{ "a" : [ "model" ] , "model" : "tiny:q4" }'),
        (b'{"mod\\u0065l":"phi3:latest"}', b'{"mod\\u0065l":"Phi3"}'),
        (b'{"Model":"tiny:q4"}', b'{"Model":"tiny:q4"}'),
        (b'{"model":"auto","n":1e400}', b'{"model":"tiny:q4","n":1e400}'),
        (b'{"model":null}', b'{"model":"tiny:q4"}'),
        (b'{"model":""}', b'{"model":"tiny:q4"}'),
        (b'{"m":"\xff\\ud800"}', b'{"model":"tiny:q4","m":"\xff\\ud800"}'),
        (b"{ }", b'{"model":"tiny:q4" }'),
    ],
)
async def test_only_the_models_name_changes(gateway: Running, engine: Engine, sent: bytes, reached: bytes) -> None:
    response = await ask(gateway.port, CHAT, sent)
    assert (response.status, response.body) == (200, b'{"ok":true}')
    assert engine.requests[0].body == reached
    assert engine.requests[0].line == f"POST {CHAT} HTTP/1.1"


@pytest.mark.parametrize(
    ("sent", "reached"),
    [
        (b'{"name":"tiny"}', b'{"name":"tiny:q4"}'),
        (b'{"model":"tiny","name":"phi3"}', b'{"model":"tiny:q4","name":"tiny:q4"}'),
        (b'{"model":"","name":"phi3"}', b'{"model":"Phi3","name":"Phi3"}'),
    ],
)
async def test_show_takes_the_old_field_too(gateway: Running, engine: Engine, sent: bytes, reached: bytes) -> None:
    await ask(gateway.port, "/api/show", sent)
    assert engine.requests[0].body == reached


async def test_the_answer_says_which_model_and_which_request(gateway: Running, engine: Engine) -> None:
    response = await ask(gateway.port, CHAT, b"{}", "X-Request-Id: abc-1\r\n")
    assert (response["x-larder-model"], response["x-request-id"]) == ("tiny", "abc-1")
    assert engine.requests[0].headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize("given", ["", "a b", "ü", "x" * 129, '"}{'])
async def test_an_id_that_is_invalid_in_a_log_is_replaced(gateway: Running, given: str) -> None:
    response = await ask(gateway.port, CHAT, b"{}", f"X-Request-Id: {given}\r\n")
    assert response["x-request-id"].startswith("req-")


async def test_connection_headers_and_credentials_do_not_reach_the_engine(gateway: Running, engine: Engine) -> None:
    gone = {
        "Authorization": "Bearer secret",
        "X-Api-Key": "secret",
        "Cookie": "secret",
        "X-Forwarded-For": "1.2.3.4",
        "X-Forwarded-Host": "evil",
        "Forwarded": "for=1.2.3.4",
        "Proxy-Authorization": "secret",
        "TE": "trailers",
        "Trailer": "X-T",
        "Keep-Alive": "timeout=5",
        "Connection": "X-Hop, keep-alive",
        "X-Hop": "1",
        "Accept-Encoding": "gzip",
    }
    kept = {"Accept": "*/*", "Traceparent": "00-1-2-01", "User-Agent": "test", "Anthropic-Version": "2023-06-01"}
    await ask(gateway.port, CHAT, b"{}", "".join(f"{k}: {v}\r\n" for k, v in {**gone, **kept}.items()))
    seen = engine.requests[0].headers
    assert seen.pop("x-request-id").startswith("req-")
    assert seen == {
        "host": f"127.0.0.1:{engine.port}",
        "content-length": str(len(engine.requests[0].body)),
        **{name.lower(): value for name, value in kept.items()},
    }


async def test_connection_headers_of_the_engine_do_not_reach_the_client(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        hop = (
            "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nAccess-Control-Allow-Origin: *\r\nX-Kept: 1\r\n"
        )
        await turn.reply(b"hello", headers=hop)

    engine.script = script
    response = await ask(gateway.port, CHAT, b"{}")
    names = {name for name, _ in response.headers}
    assert names == {"content-length", "x-kept", "x-request-id", "x-larder-model", "x-larder-rule"}


async def test_a_stream_arrives_piece_by_piece_and_unchanged(gateway: Running, engine: Engine) -> None:
    go = asyncio.Event()
    events = [b'data: {"n":%d}\n\n' % n for n in range(3)] + [b"data: [DONE]\n\n"]

    async def script(turn: Turn) -> None:
        await turn.stream_head()
        for event in events:
            await turn.chunk(event)
            await go.wait()
            go.clear()
        await turn.end()

    engine.script = script
    async with connect(gateway.port) as client:
        await client.post(CHAT, b'{"stream":true}')
        _, headers = await client.head()
        for event in events:
            assert await client.chunk() == event  # before the engine has sent the next one
            go.set()
        assert await client.chunk() == b""
    assert ("x-accel-buffering", "no") in headers
    assert ("cache-control", "no-cache") in headers


async def test_a_chunked_request_reaches_the_engine_whole(gateway: Running, engine: Engine) -> None:
    async with connect(gateway.port) as client:
        await client.send(f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        await client.send(b'5;ext=1\r\n{"mod\r\n')
        await client.send(b'9\r\nel":"tiny\r\n2\r\n"}\r\n0\r\nX-Trailer: 1\r\n\r\n')
        assert (await client.response()).status == 200
    assert engine.requests[0].body == b'{"model":"tiny:q4"}'
    assert "x-trailer" not in engine.requests[0].headers


async def test_large_bodies_pass_both_ways(gateway: Running, engine: Engine) -> None:
    image = "A" * 4_000_000

    async def script(turn: Turn) -> None:
        await turn.reply(turn.request.body)

    engine.script = script
    response = await ask(gateway.port, CHAT, json.dumps({"image": image, "model": "tiny"}).encode())
    assert response.json() == {"image": image, "model": "tiny:q4"}


async def test_pipelined_requests_are_answered_in_order_one_at_a_time(gateway: Running, engine: Engine) -> None:
    running = 0

    async def script(turn: Turn) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0.02)
        running -= 1
        await turn.reply(turn.request.body)

    engine.script = script
    async with connect(gateway.port) as client:
        wanted = [b'{"model":"tiny:q4","n":%d}' % n for n in range(4)]
        await client.send(
            b"".join(request(CHAT, body) for body in wanted[:2])
            + request("/v1/models", method="GET")
            + b"".join(request(CHAT, body) for body in wanted[2:])
        )
        got = [await client.response() for _ in range(5)]
    assert [r.body for i, r in enumerate(got) if i != 2] == wanted
    assert got[2].json()["object"] == "list"


async def test_connections_are_kept_on_both_sides(gateway: Running, engine: Engine) -> None:
    async with connect(gateway.port) as client:
        for _ in range(3):
            await client.post(CHAT, b"{}")
            assert (await client.response()).status == 200
    assert engine.connections == 1


async def test_expect_100_continue_is_answered_before_the_body(gateway: Running, engine: Engine) -> None:
    async with connect(gateway.port) as client:
        await client.send(
            f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert (await client.head())[0] == 100
        await client.send(b"{}")
        assert (await client.response()).status == 200
    assert "expect" not in engine.requests[0].headers


async def test_a_pipelined_expectation_waits_for_its_turn(gateway: Running, engine: Engine) -> None:
    async with connect(gateway.port) as client:
        second = f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n".encode()
        await client.send(request(CHAT, b"{}") + second)
        assert (await client.response()).status == 200
        assert (await client.head())[0] == 100
        await client.send(b"{}")
        assert (await client.response()).status == 200


@pytest.mark.parametrize("path", ["/api/tags", "/api/ps", "/api/version"])
async def test_ollamas_own_lists_are_proxied(gateway: Running, engine: Engine, path: str) -> None:
    assert (await ask(gateway.port, path, method="GET")).body == b'{"ok":true}'
    assert engine.requests[0].line == f"GET {path} HTTP/1.1"
    assert "content-length" not in engine.requests[0].headers


async def test_head_gets_the_head_of_get(gateway: Running, engine: Engine) -> None:
    async with connect(gateway.port) as client:
        for path in ("/api/version", "/v1/models"):
            await client.send(request(path, method="HEAD"))
            response = await client.response(head_only=True)
            assert response.status == 200
            assert int(response["content-length"]) > 0
    assert engine.requests[0].line == "GET /api/version HTTP/1.1"


async def test_http_1_0_gets_no_chunks(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.stream_head()
        await turn.chunk(b"data: 1\n\n")
        await turn.chunk(b"data: [DONE]\n\n")
        await turn.end()

    engine.script = script
    async with connect(gateway.port) as client:
        await client.send(f"POST {CHAT} HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{{}}".encode())
        response = await client.response()
    assert response.body == b"data: 1\n\ndata: [DONE]\n\n"
    assert response["transfer-encoding"] == ""
    assert response["connection"] == "close"


async def test_http_1_0_keeps_its_connection_when_it_asks(gateway: Running) -> None:
    async with connect(gateway.port) as client:
        for _ in range(2):
            await client.send(
                f"POST {CHAT} HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{{}}".encode()
            )
            assert (await client.response())["connection"] == "keep-alive"


async def test_an_answer_ended_by_the_connection_is_passed_in_chunks(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        turn.close()

    engine.script = script
    assert (await ask(gateway.port, CHAT, b"{}")).body == b"hello"


async def test_interim_answers_of_the_engine_are_skipped(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        await turn.reply(b"final")

    engine.script = script
    response = await ask(gateway.port, CHAT, b"{}")
    assert (response.status, response.body, response["link"]) == (200, b"final", "")


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "404 Not Found", "500 Internal Server Error", "503 Service Unavailable"]
)
async def test_the_engines_own_errors_pass(gateway: Running, engine: Engine, status: str) -> None:
    async def script(turn: Turn) -> None:
        await turn.reply(b'{"error":"mine"}', status)

    engine.script = script
    response = await ask(gateway.port, CHAT, b"{}")
    assert (response.status, response.body) == (int(status[:3]), b'{"error":"mine"}')


async def test_an_offer_to_upgrade_is_ignored_and_the_body_kept(gateway: Running, engine: Engine) -> None:
    """Java's HTTP client offers h2c with every request."""
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
    async with connect(gateway.port) as client:
        for _ in range(2):
            await client.post(CHAT, b'{"model":"phi3"}', offer)
            assert (await client.response()).status == 200
    assert [r.body for r in engine.requests] == [b'{"model":"Phi3"}'] * 2
    assert not {"upgrade", "http2-settings", "connection"} & set(engine.requests[0].headers)


async def test_a_query_and_an_absolute_target_are_understood(gateway: Running, engine: Engine) -> None:
    assert (await ask(gateway.port, "http://larder/v1/messages?beta=true", b"{}")).status == 200
    assert engine.requests[0].line == "POST /v1/messages?beta=true HTTP/1.1"
    for target in ("http://larder", "http://larder?a=b", "HTTP://LARDER/?a=b"):
        assert (await ask(gateway.port, target, method="GET")).body == b"Ollama is running"


async def test_the_models_are_those_of_the_configuration(gateway: Running, engine: Engine) -> None:
    listed = (await ask(gateway.port, "/v1/models", method="GET")).json()
    tiny = {"id": "tiny", "object": "model", "created": 0, "owned_by": "larder"}
    assert listed == {"object": "list", "data": [tiny, {**tiny, "id": "phi-3-mini"}]}
    assert (await ask(gateway.port, "/v1/models/GPT-3.5-turbo", method="GET")).json() == tiny
    assert (await ask(gateway.port, "/v1/models/tiny%3Aq4", method="GET")).json() == tiny
    assert (await ask(gateway.port, "/v1/models/%FF%00", method="GET")).status == 404
    assert (await ask(gateway.port, "/v1/models/nope", method="GET")).status == 404
    assert not engine.requests


async def test_a_slow_client_holds_the_engine_back(gateway: Running, engine: Engine) -> None:
    sent = 0

    async def script(turn: Turn) -> None:
        nonlocal sent
        await turn.stream_head("application/octet-stream")
        for _ in range(400):
            await turn.chunk(b"x" * 100_000)
            sent += 100_000
        await turn.end()

    engine.script = script
    async with connect(gateway.port, limit=4096) as client:
        await client.post(CHAT, b"{}")
        await client.head()
        await asyncio.sleep(0.3)
        held = sent
        await asyncio.sleep(0.2)
        assert sent == held < 30_000_000  # sockets' buffers on loopback take some megabytes
        total = 0
        while chunk := await client.chunk():
            total += len(chunk)
    assert total == 40_000_000


async def test_a_client_that_stops_reading_is_disconnected(start: Start, engine: Engine) -> None:
    gone = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.stream_head("application/octet-stream")
        try:
            while not turn.gone.is_set():
                await turn.chunk(b"x" * 100_000)
        finally:
            gone.set()

    engine.script = script
    async with start(limits={"body-seconds": 0.3}) as gateway, connect(gateway.port, limit=4096) as client:
        await client.post(CHAT, b"{}")
        await client.head()
        await asyncio.wait_for(gone.wait(), 5)
        await until(
            lambda: gateway.metrics.text().count(b'larder_upstream_aborts_total{phase="stream"} 1.0') == 1, "the count"
        )


async def test_a_trace_goes_on_in_the_engine(gateway: Running, engine: Engine) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await ask(gateway.port, CHAT, b"{}", f"traceparent: {trace}\r\ntracestate: larder=1\r\nbaggage: a=b\r\n")
    headers = engine.requests[0].headers
    assert (headers["traceparent"], headers["tracestate"], headers["baggage"]) == (trace, "larder=1", "a=b")
