"""The admin port: what probes and Prometheus see."""

import contextlib
import json

import pytest
from larder_sidecar.gateway.serve import ADMIN_LIMITS, Running

from tests.sidecar.gateway.conftest import CHAT, Lines
from tests.sidecar.gateway.scripted import Engine, Turn, admin, ask, connect, until


async def test_probes_follow_the_engine(gateway: Running, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.reply(b"Ollama is running")

    engine.script = script
    assert await admin(gateway, "/livez") == (200, {"status": "ok"})
    assert await admin(gateway, "/enginez") == (
        200,
        {
            "ok": True,
            "engines": [{"name": "engine", "kind": "ollama", "ok": True, "detail": "200 Ollama is running"}],
        },
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


async def test_a_health_check_of_the_engine_leaves_no_connection_behind(gateway: Running, engine: Engine) -> None:
    """The gateway itself closes: an engine may keep a connection despite `Connection: close`."""
    await admin(gateway, "/enginez")
    await until(lambda: engine.open_connections == 0, "the end of the connection")
    await ask(gateway.port, CHAT, b"{}")
    assert [request.connection for request in engine.requests] == [1, 2]


async def test_probes_are_answered_however_many_connections_are_held_open(gateway: Running) -> None:
    async with contextlib.AsyncExitStack() as idlers:
        for _ in range(ADMIN_LIMITS.connections + 1):
            await idlers.enter_async_context(connect(gateway.admin_port))
        assert (await admin(gateway, "/livez"))[0] == 200


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("GET", CHAT, 404), ("POST", "/drain", 405)])
async def test_other_paths_are_refused(gateway: Running, method: str, path: str, status: int) -> None:
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


async def test_the_log_has_a_line_per_request_without_its_content(gateway: Running, log: Lines) -> None:
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
        "rule",
    }
    assert secret not in log.text
