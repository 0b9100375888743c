"""The admin port: what probes see, and how the gateway goes."""

import asyncio
import json

import pytest
from larder_sidecar.gateway.serve import Running

from tests.sidecar.gateway.conftest import CHAT, Lines, Start
from tests.sidecar.gateway.scripted import WAIT, Engine, Turn, ask, connect, until

QUICK = {"serve-seconds": 0.3, "grace-seconds": 8}


async def admin(gateway: Running, path: str, method: str = "GET") -> tuple[int, dict[str, object]]:
    response = await ask(gateway.admin_port, path, method=method)
    return response.status, response.json()


async def test_probes_follow_the_engine(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.reply(b"Ollama is running")

    engine.script = script
    assert await admin(gateway, "/livez") == (200, {"status": "ok"})
    assert await admin(gateway, "/enginez") == (
        200,
        {"engine": "ollama", "ok": True, "detail": "200 Ollama is running"},
    )
    assert (await admin(gateway, "/readyz"))[0] == 200
    assert engine.requests[0].line == "GET / HTTP/1.1"
    await engine.stop()
    assert (await admin(gateway, "/livez"))[0] == 200
    assert (await admin(gateway, "/enginez"))[0] == 503
    status, detail = await admin(gateway, "/readyz")
    assert (status, detail["ready"], detail["draining"]) == (503, False, False)
    await engine.start()
    assert (await admin(gateway, "/readyz"))[0] == 200


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("GET", CHAT, 404), ("POST", "/drain", 405)])
async def test_nothing_else_is_there(gateway: Running, method: str, path: str, status: int) -> None:
    assert (await admin(gateway, path, method))[0] == status


async def test_metrics_have_no_label_that_a_client_can_choose(gateway: Running) -> None:
    for model in ("tiny", "evil", "gpt-3.5-turbo"):
        await ask(gateway.port, CHAT, json.dumps({"model": model}).encode())
    await ask(gateway.port, "/evil")
    response = await ask(gateway.admin_port, "/metrics", method="GET")
    text = response.body.decode()
    assert response["content-type"].startswith("text/plain")
    assert 'larder_requests_total{code="200",model="tiny",operation="chat"} 2.0' in text
    assert 'larder_requests_total{code="model_not_found",model="other",operation="chat"} 1.0' in text
    assert (
        'gen_ai_server_request_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_request_model="tiny"} 2.0'
        in text
    )
    assert "larder_requests_in_flight 0.0" in text
    assert "evil" not in text


async def test_a_line_a_request_and_never_its_content(gateway: Running, log: Lines) -> None:
    secret = "tell-nobody"
    await ask(
        gateway.port, CHAT + "?key=" + secret, json.dumps({"p": secret}).encode(), f"Authorization: Bearer {secret}\r\n"
    )
    await ask(gateway.port, CHAT, json.dumps({"model": secret}).encode())
    lines = [json.loads(line) for line in log.text.splitlines()]
    done = [line for line in lines if line["message"] == "request"]
    assert [(d["method"], d["path"], d["status"], d["model"]) for d in done] == [
        ("POST", CHAT, 200, "tiny"),
        ("POST", CHAT, 404, None),
    ]
    assert set(done[0]) == {
        "time",
        "level",
        "message",
        "method",
        "path",
        "status",
        "model",
        "duration_ms",
        "bytes_in",
        "bytes_out",
        "request_id",
    }
    assert secret not in log.text


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
        drain = asyncio.create_task(admin(gateway, "/drain"))
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
        assert await admin(gateway, "/drain") == (200, {"drained": True, "in_flight": 0})


async def test_a_drain_returns_in_time_for_the_engine_to_stop(start: Start, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.gone.wait()

    engine.script = script
    async with start(drain={"serve-seconds": 0.1, "grace-seconds": 5.3}) as gateway, connect(gateway.port) as client:
        await client.post(CHAT, b"{}")
        await until(lambda: len(engine.requests) == 1, "the request")
        async with asyncio.timeout(2):
            assert await admin(gateway, "/drain") == (200, {"drained": True, "in_flight": 1})


async def test_a_drain_outlives_whoever_asked_for_it(start: Start) -> None:
    async with start(drain=QUICK) as gateway:
        async with connect(gateway.admin_port) as client:
            await client.send(b"GET /drain HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda: gateway.lifecycle.closing, "the drain to begin")
        await until(lambda: gateway.lifecycle.phase == 2, "the drain to go on")
        assert await admin(gateway, "/drain") == (200, {"drained": True, "in_flight": 0})
