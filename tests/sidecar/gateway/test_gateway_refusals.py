"""Refusals: each states the reason, and the engine gets no request."""

import asyncio
import json

import pytest
from larder_sidecar.gateway.serve import Running

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.scripted import Engine, Turn, ask, connect, request, until

HEAD = f"POST {CHAT} HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/debug/pprof/", 404, "path_not_found"),
        ("POST", "/api/me", 404, "path_not_found"),
        ("POST", "/api/signout", 404, "path_not_found"),
        ("POST", "/v1/audio/transcriptions", 404, "path_not_found"),
        ("POST", "/v1//chat/completions", 404, "path_not_found"),
        ("POST", "/v1/chat/completions/", 404, "path_not_found"),
        ("POST", "/v1/chat/%63ompletions", 404, "path_not_found"),
        ("POST", "/x/../v1/chat/completions", 404, "path_not_found"),
        ("GET", "/v1/models/", 404, "path_not_found"),
        ("POST", "/api/pull", 403, "catalog_only"),
        ("POST", "/api/create", 403, "catalog_only"),
        ("DELETE", "/api/delete", 403, "catalog_only"),
        ("POST", "/api/push", 403, "catalog_only"),
        ("POST", "/api/copy", 403, "catalog_only"),
        ("HEAD", "/api/blobs/sha256:00", 403, "catalog_only"),
        ("GET", CHAT, 405, "method_not_allowed"),
        ("POST", "/api/tags", 405, "method_not_allowed"),
        ("OPTIONS", CHAT, 405, "method_not_allowed"),
        ("DELETE", "/v1/models/tiny", 405, "method_not_allowed"),
    ],
)
async def test_only_the_listed_paths_exist(
    gateway: Running, engine: Engine, method: str, path: str, status: int, code: str
) -> None:
    response = await ask(gateway.port, path, b"{}" if method == "POST" else b"", method=method)
    assert response.status == status
    if method != "HEAD":
        assert response.code == (None if path.startswith("/api/") else code)
    if status == 405:
        assert response["allow"] == ("POST" if path == CHAT else "GET, HEAD")
    assert not engine.requests


@pytest.mark.parametrize(
    ("kind", "has", "lacks"),
    [
        ("llama-server", "/v1/embeddings", "/api/chat"),
        ("llama-server", "/v1/responses", "/api/tags"),
        ("shimmy", CHAT, "/api/generate"),
        ("shimmy", "/v1/messages", "/v1/embeddings"),
    ],
)
async def test_an_engine_gets_only_the_paths_that_it_serves(
    start: Start, engine: Engine, kind: str, has: str, lacks: str
) -> None:
    async with start(engines=[{"kind": kind, "url": engine.url}]) as running:
        assert (await ask(running.port, has, b"{}")).status == 200
        refused = await ask(running.port, lacks, b"{}")
        assert (refused.status, f"engine {kind} does not answer {lacks}" in refused.body.decode()) == (404, True)
    assert len(engine.requests) == 1


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        (b'{"model":"tinny"}', 404, "model_not_found", "did you mean tiny?"),
        (b'{"model":"zzzzzzzz"}', 404, "model_not_found", "here: tiny, phi-3-mini"),
        (b'{"model":"gpt-oss:120b-cloud"}', 403, "cloud_model_refused", "outside this cluster"),
        (b'{"model":"tiny:CLOUD"}', 403, "cloud_model_refused", "outside this cluster"),
        (b'{"model":"tiny","model":"phi3"}', 400, "bad_body", "twice"),
        (b'{"model":"tiny","MODEL":"phi3"}', 400, "bad_body", "twice"),
        (b'{"model":"tiny","\\u006dodel":"phi3"}', 400, "bad_body", "twice"),
        (b'{"model":7}', 400, "bad_body", "must be a string"),
        (b'{"model":{"a":"tiny"}}', 400, "bad_body", "must be a string"),
        (b'{"model":"' + b"x" * 5000 + b'"}', 400, "bad_body", "must be a string"),
        (b'{"model":"\xff","stream":true}', 400, "bad_body", "must be a string"),
        (b'["model"]', 400, "bad_body", "expected an object at byte 0"),
        (b"", 400, "bad_body", "expected an object at byte 0"),
        (b'{"model":"tiny"', 400, "bad_body", "expected"),
        (b'{"model":"tiny"} {}', 400, "bad_body", "goes on"),
        (b"\xef\xbb\xbf{}", 400, "bad_body", "expected an object at byte 0"),
    ],
)
async def test_a_body_must_name_one_model_that_is_served(
    gateway: Running, engine: Engine, body: bytes, status: int, code: str, says: str
) -> None:
    async with connect(gateway.port) as client:
        await client.post(CHAT, body)
        response = await client.response()
        assert (response.status, response.code) == (status, code)
        assert says in response.body.decode()
        await client.post(CHAT, b"{}")
        assert (await client.response()).status == 200  # the connection is still good


async def test_without_a_default_a_model_must_be_named(start: Start) -> None:
    async with start(routing={}) as gateway:
        response = await ask(gateway.port, CHAT, b'{"model":"auto"}')
        assert (response.status, response.code) == (400, "model_required")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (HEAD + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
        (HEAD + "Content-Length: 2, 2\r\n\r\n{}", 400),
        (HEAD + "Content-Length: +2\r\n\r\n{}", 400),
        (HEAD + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: chunked\t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: gzip,\tchunked\t\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: chunked\tx\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", 400),
        (HEAD + "Transfer-Encoding: chunked\t\r\nContent-Length: 2\r\n\r\n{}", 400),
        (HEAD + "Content-Length: 2\r\nTransfer-Encoding: chunked\t\r\n\r\n{}", 400),
        (HEAD + "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
        (HEAD + "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", 400),
        (f"POST {CHAT} HTTP/1.0\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n", 400),
        (HEAD + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}}\r\n0\r\n\r\n", 400),
        (HEAD + "X: a\r\n folded\r\n\r\n", 400),
        (HEAD + "X: a\nY: b\r\n\r\n", 400),
        (HEAD + "X: a\0\r\n\r\n", 400),
        (f"POST {CHAT} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (f"POST {CHAT} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}", 400),
        (HEAD + "Host: b\r\nContent-Length: 2\r\n\r\n{}", 400),
        ("GET /v1/models HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("CONNECT evil:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (HEAD + "Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}", 417),
        (HEAD + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415),
        (HEAD + "Content-Encoding: zstd\r\nContent-Length: 2\r\n\r\n{}", 415),
        (HEAD + "X: " + "a" * 40_000 + "\r\n\r\n", 431),
        (HEAD + "X: " + "a" * 40_000, 431),
        ("GET /" + "a" * 40_000 + " HTTP/1.1\r\nHost: a\r\n\r\n", 431),
    ],
)
async def test_requests_that_two_servers_could_read_differently_are_refused(
    gateway: Running, engine: Engine, raw: str, status: int
) -> None:
    async with connect(gateway.port) as client:
        await client.send(raw.encode("latin-1") + request(CHAT, b"{}"))  # smuggled, if the first one is misread
        response = await client.response()
        assert response.status == status
        assert response.json()["error"]
        assert await client.closed()
    assert not engine.requests


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        ("Host: a b\r\n", "", 400),
        ("", "Host: a\r\nHost: a\r\n", 400),
        ("", "X: y\r\n", 400),
        ("Host: a\r\nExpect: 200-ok\r\n", "", 417),
        ("Host: a\r\n", "X: y\r\n" * 300, 431),
    ],
)
async def test_the_refusal_of_a_head_has_the_id_that_the_client_gave(
    gateway: Running, before: str, after: str, status: int
) -> None:
    async with connect(gateway.port) as client:
        await client.send(f"GET /v1/models HTTP/1.1\r\n{before}X-Request-Id: abc-1\r\n{after}\r\n".encode())
        response = await client.response()
        assert (response.status, response["x-request-id"]) == (status, "abc-1")


@pytest.mark.parametrize("early", ["Expect: 100-continue\r\n", ""])
async def test_a_body_that_is_too_large_is_refused_by_its_announcement(start: Start, early: str) -> None:
    async with start(limits={"body-bytes": 100_000}) as gateway, connect(gateway.port) as client:
        await client.send(f"{HEAD}Content-Length: 100001\r\n{early}\r\n".encode())
        response = await client.response()
        assert (response.status, response.code, response["connection"]) == (413, "request_too_large", "close")


async def test_a_chunked_body_that_grows_too_large_is_refused(start: Start, engine: Engine) -> None:
    async with start(limits={"body-bytes": 100_000}) as gateway, connect(gateway.port) as client:
        await client.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(40):  # the answer must be readable although the client goes on sending
            await client.send(b"1388\r\n" + b"x" * 5000 + b"\r\n")
        assert (await client.response()).status == 413
    assert not engine.requests


async def test_bodies_held_at_one_time_are_bounded(start: Start, engine: Engine) -> None:
    async with start(limits={"buffered-bytes": 100_000}) as gateway:
        async with connect(gateway.port) as holder:
            await holder.send(f"{HEAD}Content-Length: 90000\r\n\r\n".encode() + b" " * 80_000)
            await asyncio.sleep(0.05)
            response = await ask(gateway.port, CHAT, b" " * 30_000)
            assert (response.status, response["retry-after"]) == (503, "2")
        await until(lambda: b"larder_request_bytes_held 0.0" in gateway.metrics.text(), "the bytes to be let go")
        assert (await ask(gateway.port, CHAT, b"{}" + b" " * 30_000)).status == 200
        await until(lambda: b"larder_request_bytes_held 0.0" in gateway.metrics.text(), "the bytes to be let go")


@pytest.mark.parametrize(
    ("limit", "begun", "status"),
    [
        ("header-seconds", "POST /v1", 408),
        ("body-seconds", f"{HEAD}Content-Length: 5\r\n\r\nab", 408),
        ("idle-seconds", "", None),
    ],
)
async def test_a_slow_client_times_out(start: Start, limit: str, begun: str, status: int | None) -> None:
    async with start(limits={limit: 0.2}) as gateway, connect(gateway.port) as client:
        await client.send(begun.encode())
        if status is not None:
            assert (await client.response()).status == status
        assert await client.closed()


async def test_a_trickle_does_not_extend_the_deadline_of_a_head(start: Start) -> None:
    async with start(limits={"header-seconds": 0.3}) as gateway, connect(gateway.port) as client:
        answer = asyncio.create_task(client.response())
        for byte in f"{HEAD}X: {'a' * 100}".encode():
            if answer.done():
                break
            await client.send(bytes([byte]))
            await asyncio.sleep(0.02)
        assert (await answer).status == 408


@pytest.mark.parametrize("endless", [b"0\r\nX: ", b"0\r\n", b"2;a="])
async def test_trailers_and_chunk_extensions_are_bounded(gateway: Running, engine: Engine, endless: bytes) -> None:
    """They are never used, so they need not be collected."""
    filler = b"X: aaaa\r\n" * 900 if endless == b"0\r\n" else b"a" * 8192
    async with connect(gateway.port) as client:
        await client.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + endless)
        for _ in range(10):
            await client.send(filler)
        response = await client.response()
        assert (response.status, response.code) == (431, "headers_too_large")
    assert not engine.requests


async def test_a_body_in_many_small_chunks_passes(gateway: Running, engine: Engine) -> None:
    body = json.dumps({"model": "tiny", "prompt": "x" * 20_000}).encode()
    async with connect(gateway.port, limit=2**20) as client:
        chunks = b"".join(b"1;x=y\r\n%c\r\n" % byte for byte in body)
        await client.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\nX: y\r\n\r\n")
        assert (await client.response()).status == 200
    assert engine.requests[0].body == body.replace(b'"tiny"', b'"tiny:q4"')


async def test_an_idle_connection_is_closed(start: Start) -> None:
    async with start(limits={"idle-seconds": 0.2}) as gateway, connect(gateway.port) as client:
        await client.post(CHAT, b"{}")
        assert (await client.response()).status == 200
        assert await client.closed()


async def test_connections_are_capped(start: Start, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.gone.wait()

    engine.script = script
    async with start(limits={"connections": 2}) as gateway:
        async with connect(gateway.port) as one, connect(gateway.port) as two:
            for client in (one, two):
                await client.post(CHAT, b"{}")
            await until(lambda: len(engine.requests) == 2, "both requests")
            async with connect(gateway.port) as three:
                response = await three.response()
                assert (response.status, response["retry-after"]) == (503, "2")
                assert await three.closed()
        await until(lambda: b"larder_connections 0.0" in gateway.metrics.text(), "the connections to close")
        assert (await ask(gateway.port, "/v1/models", method="GET")).status == 200


async def test_the_connection_that_is_idle_longest_makes_room(start: Start) -> None:
    async with start(limits={"connections": 2}) as gateway, connect(gateway.port) as one, connect(gateway.port) as two:
        for client in (one, two, one):
            await client.post(CHAT, b"{}")
            assert (await client.response()).status == 200
            await asyncio.sleep(0.01)  # the loop's clock has milliseconds
        assert (await ask(gateway.port, CHAT, b"{}")).status == 200
        assert await two.closed()
        await one.post(CHAT, b"{}")
        assert (await one.response()).status == 200


async def test_pipelined_requests_are_bounded(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.reply(b"{}")

    engine.script = script
    async with connect(gateway.port) as client:
        await client.send(request(CHAT, b"{}") * 200)
        answered = 0
        while b"HTTP/1.1 200" in await client.reader.readline():
            answered += 1
            await client.reader.readuntil(b"\r\n\r\n")
            await client.reader.readexactly(2)
    assert answered == 64


async def test_hostile_json_does_not_hold_the_loop(gateway: Running) -> None:
    hostile = b'{"a":' + b"[{}," * 2_000_000
    other = asyncio.create_task(ask(gateway.port, CHAT, hostile))
    response = await other
    assert response.status == 400
    assert "not JSON" in response.body.decode()
