"""Shapes of errors: each has the shape of its path's protocol, whichever part refuses the request."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.holding import Holding
from tests.sidecar.gateway.resident import TOKEN, With, chat
from tests.sidecar.gateway.scripted import Engine, Response, Turn, ask, connect, request

JSON = "Content-Type: application/json\r\n"
NATIVE = ["/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show"]
ANTHROPIC = ["/v1/messages", "/v1/messages/count_tokens"]
OPENAI = [CHAT, "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/nothing", "/rerank", "/api/llm/route"]
PATHS = [
    *((path, "native") for path in NATIVE),
    *((path, "anthropic") for path in ANTHROPIC),
    *((path, "openai") for path in OPENAI),
]


def shape(response: Response) -> str:
    """Return the protocol whose clients can read the error."""
    told = response.json()
    fault = told["error"]
    if isinstance(fault, str):
        return "download service" if told.get("status") == "error" else "native"
    assert isinstance(fault, dict)
    assert isinstance(fault["message"], str)
    if told.get("type") == "error":
        assert set(fault) == {"type", "message"}
        return "anthropic"
    assert set(fault) == {"message", "type", "code", "param"}
    return "openai"


@pytest.mark.parametrize(("path", "expected"), PATHS)
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ('{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\n{{"model":"nobody"}}', (404,)),
        ("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n", (405, 404)),
        ("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nnot JSON!", (400, 404)),
        ("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{{}}", (415,)),
        ("POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 2\r\n\r\n{{}}", (417,)),
        ("POST {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 2\r\n\r\n{{}}", (400,)),
        ("POST {path}?a=b HTTP/1.1\r\nHost: a\r\nX: " + 40_000 * "a" + "\r\n\r\n", (431,)),
        ("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 200001\r\n\r\n", (413, 404)),
        ("POST {path} HTTP/2.0\r\nHost: a\r\n\r\n", (505,)),
        ("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", (408,)),
    ],
    ids=["model", "method", "json", "encoding", "expect", "hosts", "head", "size", "version", "time"],
)
async def test_a_refusal_has_the_shape_of_its_path(
    start: Start, engine: Engine, path: str, expected: str, sent: str, status: tuple[int, ...]
) -> None:
    async with start(limits={"body-bytes": 200_000, "body-seconds": 0.1}) as running, connect(running.port) as client:
        await client.send(sent.format(path=path, method="POST").encode())
        response = await client.response()
        assert response.status in (*status, 404)
        assert shape(response) == expected
    assert not engine.requests


@pytest.mark.parametrize(("path", "expected"), [("/api/pull", "native"), ("/api/nothing", "native"), ("/x", "openai")])
async def test_an_unknown_path_has_the_same_shape(start: Start, path: str, expected: str) -> None:
    async with start() as running:
        assert shape(await ask(running.port, path, b"{}")) == expected


@pytest.mark.parametrize(("path", "expected"), [("/v1/models/nobody", "anthropic"), (CHAT, "anthropic")])
async def test_a_client_that_names_anthropic_s_version_gets_its_shape(start: Start, path: str, expected: str) -> None:
    method = "POST" if path == CHAT else "GET"
    async with start() as running:
        headers = "Anthropic-Version: 2023-06-01\r\n"
        assert shape(await ask(running.port, path, b'{"model":"x"}', headers, method)) == expected


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"no JSON", 400, "invalid_request_error"),
        (b'{"model":"a:cloud"}', 403, "permission_error"),
        (b'{"model":"nobody"}', 404, "not_found_error"),
    ],
)
async def test_anthropic_s_clients_get_its_error_types(start: Start, body: bytes, status: int, kind: str) -> None:
    async with start() as running:
        response = await ask(running.port, "/v1/messages", body)
        told = response.json()["error"]
        assert isinstance(told, dict)
        assert (response.status, told["type"]) == (status, kind)


@pytest.mark.parametrize(("path", "expected"), [PATHS[0], PATHS[5], PATHS[7]])
async def test_an_unavailable_engine_is_reported_in_the_same_shape(
    start: Start, engine: Engine, path: str, expected: str
) -> None:
    async with start() as running:
        await engine.stop()
        response = await ask(running.port, path, b"{}")
        assert (response.status, response["retry-after"], shape(response)) == (503, "2", expected)


@pytest.mark.parametrize(("path", "expected"), [PATHS[0], PATHS[5], PATHS[7]])
async def test_a_draining_gateway_refuses_in_the_same_shape(start: Start, path: str, expected: str) -> None:
    async with start(drain={"serve-seconds": 0, "grace-seconds": 6}) as running:
        await running.lifecycle.drain()
        response = await ask(running.port, path, b"{}")
        assert (response.status, response["retry-after"], shape(response)) == (503, "2", expected)


@pytest.mark.parametrize(
    ("path", "expected"), [("/api/chat", "native"), ("/v1/messages", "anthropic"), (CHAT, "openai")]
)
async def test_a_failed_load_is_reported_in_the_same_shape(
    resident: With, ollama: Holding, path: str, expected: str
) -> None:
    ollama.free.clear()
    async with resident(**{"wait-seconds": 0.1, "queue": 1}) as running:
        waits = asyncio.create_task(ask(running.port, path, chat("a")))
        await asyncio.sleep(0.05)
        full = await ask(running.port, path, chat("b"))
        assert (full.status, shape(full)) == (429, expected)
        assert int(full["retry-after"]) > 0
        late = await waits
        assert (late.status, late["retry-after"], shape(late)) == (503, "10", expected)
        ollama.free.set()


@pytest.mark.parametrize(
    ("path", "content_type", "first", "last"),
    [
        ("/api/chat", "application/x-ndjson", b'{"done":false}\n', b'{"error": '),
        ("/v1/messages", "text/event-stream", b"event: ping\ndata: {}\n\n", b'event: error\ndata: {"type": "error", '),
        (CHAT, "text/event-stream", b'data: {"choices":[]}\n\n', b'data: {"error": {"message": '),
        (
            "/v1/responses",
            "text/event-stream",
            b"event: response.created\ndata: {}\n\n",
            b'event: error\ndata: {"type": "error"',
        ),
    ],
)
async def test_a_stream_that_breaks_off_ends_in_an_error_of_its_protocol(
    start: Start, engine: Engine, path: str, content_type: str, first: bytes, last: bytes
) -> None:
    async def script(turn: Turn) -> None:
        await turn.stream_head(content_type)
        await turn.chunk(first)
        turn.close()

    engine.script = script
    async with start() as running:
        response = await ask(running.port, path, b'{"stream":true}')
        assert response.body.startswith(first + last)


PULLED = [
    request("/v1/api/pull", b"{}", "Content-Encoding: gzip\r\n"),
    request("/v1/api/pull", b"{}", "X: " + 40_000 * "a" + "\r\n"),
    request("/v1/api/pull", b"x" * 5000, f"Authorization: Bearer {TOKEN}\r\n"),
    request("/v1/api/pull", b"{}"),
    request("/v1/api/pull", b"{}", method="GET"),
    request("/v1/health", b"{}"),
]


@pytest.mark.parametrize("sent", PULLED, ids=["encoding", "head", "size", "token", "method", "health"])
async def test_the_download_service_has_a_shape_of_its_own(
    start: Start, engine: Engine, tmp_path: Path, sent: bytes
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    pulls = {"folder": str(tmp_path), "endpoint": "http://127.0.0.1:1"}
    engines = [{"kind": "llama-server", "url": engine.url}]
    async with (
        start(engines=engines, pulls=pulls, auth={"token-file": str(tmp_path / "token")}) as running,
        connect(running.port) as client,
    ):
        await client.send(sent)
        assert shape(await client.response()) == "download service"


async def test_the_message_is_the_same_in_each_shape(start: Start) -> None:
    async with start() as running:
        told = [await ask(running.port, path, b'{"model":"tinny"}') for path in ("/api/chat", "/v1/messages", CHAT)]
    messages = [json.loads(one.body)["error"] for one in told]
    assert messages[0] == messages[1]["message"] == messages[2]["message"]
    assert "did you mean tiny?" in messages[0]
