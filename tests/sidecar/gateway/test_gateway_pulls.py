"""The download service: one pull at a time, only with the token, and no partial models."""

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from larder_sidecar.bearer import TokenError
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.gateway.pulls import Pulls
from larder_sidecar.gateway.serve import Running
from pydantic import ValidationError

from testbed.hub.faults import Faults
from testbed.hub.repository import Repositories
from testbed.hub.server import Hub
from testbed.hub.tiny_model import tiny_model
from tests.sidecar.gateway.conftest import CHAT, Lines, Start
from tests.sidecar.gateway.scripted import Client, Engine, Turn, ask, connect, request, until

REPO, FILE, STEM = "org/Tiny-GGUF", "Tiny-1B.Q4_K_M.gguf", "Tiny-1B.Q4_K_M"
TOKEN, HUB_TOKEN = "s3cret-api-0123456789", "s3cret-hub"
JSON = "Content-Type: application/json\r\n"
AUTHORIZED = f"{JSON}Authorization: Bearer {TOKEN}\r\n"
PULL = "/v1/api/pull"


def body(model: str = REPO, filename: str = FILE) -> bytes:
    return json.dumps({"model": model, "filename": filename}).encode()


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


class Pantry:
    """A gateway with pulls, its hub, and the folder the engine reads."""

    def __init__(self, folder: Path, start: Start, stack: ExitStack) -> None:
        self.models, self._hub, self._start, self._stack = folder / "models", folder / "hub", start, stack
        self.token, self._hub_token = folder / "token", folder / "hub-token"
        self.token.write_text(f"{TOKEN}\n")
        self._hub_token.write_text(HUB_TOKEN)
        self.models.mkdir()
        self.publish(FILE, size=400_000)

    def publish(self, file: str, *, size: int = 0, seed: int = 0, content: bytes | None = None) -> None:
        Repositories(self._hub).publish(REPO, file, [content] if content is not None else tiny_model(seed, size=size))

    @asynccontextmanager
    async def gateway(self, faults: Faults | None = None, **settings: object) -> AsyncIterator[tuple[Running, Hub]]:
        hub = self._stack.enter_context(Hub(self._hub, faults=faults, token=HUB_TOKEN))
        pulls = {"folder": str(self.models), "endpoint": hub.url, "hub-token-file": str(self._hub_token)}
        auth = {"token-file": str(self.token)}
        async with self._start(**{"pulls": pulls, "auth": auth, **settings}) as running:
            yield running, hub

    def content(self) -> bytes:
        return (self.models / FILE).read_bytes()

    def files(self) -> list[str]:
        return sorted(path.name for path in self.models.glob("*.gguf"))


@pytest.fixture
def pantry(tmp_path: Path, engine: Engine, start: Start) -> Any:
    async def router(turn: Turn) -> None:
        listed = [{"id": path.stem} for path in (tmp_path / "models").glob("*.gguf")]
        answer = {"data": listed} if turn.request.line.startswith("GET /models?reload=1 ") else {"ok": True}
        await turn.reply(json.dumps(answer).encode())

    engine.script = router

    def starting(**settings: object) -> Any:
        return start(**{"engines": [{"kind": "llama-server", "url": engine.url}], **settings})

    with ExitStack() as stack:
        yield Pantry(tmp_path, starting, stack)
    for thread in threading.enumerate():
        if thread.name == "pull":
            thread.join(5)
            assert not thread.is_alive(), "a stopped gateway goes on pulling"


async def follow(client: Client, query: str = "") -> dict[str, Any]:
    """Start the pull and read its first line."""
    await client.post(PULL + query, body(), AUTHORIZED)
    status, _ = await client.head()
    assert status == 200
    first: dict[str, Any] = json.loads(await client.chunk())
    return first


async def test_a_pull_ends_in_a_model_that_is_listed_and_answers(pantry: Pantry, engine: Engine) -> None:
    async with pantry.gateway() as (running, _):
        response = await ask(running.port, PULL, body(), AUTHORIZED)
        assert (response.status, response["content-type"]) == (200, "application/x-ndjson")
        first, last = lines(response.body)
        assert first == {"status": "starting", "model": REPO, "filename": FILE, "total": 400_000, "completed": 0}
        path = str(pantry.models / FILE)
        told = {"status": "complete", "filename": FILE, "path": path, "size_mb": 0.4}
        assert last == {**told, "id": STEM, "reused": False, "servable": True}
        assert pantry.content() == b"".join(tiny_model(size=400_000))
        listed = (await ask(running.port, "/v1/models", method="GET")).json()["data"]
        assert STEM in [model["id"] for model in listed]  # type: ignore[attr-defined]  # json() says object
        for name in (STEM, "tiny-1b"):
            assert (await ask(running.port, CHAT, b'{"model":"%b"}' % name.encode()))["x-larder-model"] == STEM
            assert json.loads(engine.requests[-1].body) == {"model": STEM}


async def test_pulled_models_survive_a_restart(pantry: Pantry) -> None:
    (pantry.models / FILE).write_bytes(b"".join(tiny_model()))
    async with pantry.gateway() as (running, _):
        assert (await ask(running.port, f"/v1/models/{STEM}", method="GET")).status == 200


@pytest.mark.parametrize("headers", ["", "Authorization: Bearer nonsense\r\n", f"Authorization: Basic {TOKEN}\r\n"])
async def test_without_the_token_nothing_is_pulled(pantry: Pantry, headers: str) -> None:
    async with pantry.gateway() as (running, hub):
        response = await ask(running.port, PULL, body(), headers)
        assert response.status == 401
        assert response["www-authenticate"].startswith("Bearer")
        assert response.json()["status"] == "error"
        assert hub.stats.requests == 0


async def test_a_renewed_token_is_in_force_at_once(pantry: Pantry) -> None:
    async with pantry.gateway() as (running, _):
        pantry.token.write_text("another-0123456789")
        assert (await ask(running.port, PULL, body(), AUTHORIZED)).status == 401
        assert (
            await ask(running.port, PULL, body(), f"{JSON}Authorization: Bearer another-0123456789\r\n")
        ).status == 200


async def test_a_deleted_token_file_admits_no_client(pantry: Pantry) -> None:
    async with pantry.gateway() as (running, hub):
        pantry.token.unlink()
        response = await ask(running.port, PULL, body(), AUTHORIZED)
        assert (response.status, hub.stats.requests) == (503, 0)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("\n")], ids=["missing", "empty"])
async def test_a_gateway_without_its_token_does_not_start(pantry: Pantry, spoil: Callable[[Path], object]) -> None:
    spoil(pantry.token)
    with pytest.raises(TokenError, match="larder-api-token"):
        async with pantry.gateway():
            pass


async def test_open_mutations_need_no_token(pantry: Pantry) -> None:
    pantry.token.unlink()
    async with pantry.gateway(auth={"mutations": "open"}) as (running, _):
        assert (await ask(running.port, PULL, body(), JSON)).status == 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "pulls need auth.token-file where auth.mutations is 'token'"),
        ({"engines": [{"kind": "shimmy", "url": "http://e:1"}]}, "pulls need engine llama-server: shimmy"),
    ],
)
def test_pulls_that_cannot_work_are_refused_with_the_file(changes: dict[str, Any], said: str) -> None:
    engines = [{"kind": "llama-server", "url": "http://e:1"}]
    models = [{"id": "tiny", "engine-name": "tiny"}]
    file = {"engines": engines, "models": models, "pulls": {"endpoint": "https://hub.test"}, **changes}
    with pytest.raises(ValidationError, match=said):
        GatewayConfig.model_validate(file)


async def test_tokens_never_appear_in_output(pantry: Pantry, log: Lines) -> None:
    async with pantry.gateway() as (running, _):
        answers = [(await ask(running.port, PULL, body(), AUTHORIZED)).body, (await ask(running.port, PULL)).body]
        answers.append((await ask(running.port, "/", method="GET")).body)
    assert "pull complete" in log.text
    assert "s3cret" not in log.text + b"".join(answers).decode()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"{", "required"),
        (b'{"model": "org/x"}', "required"),
        (b'["org/x", "x.gguf"]', "required"),
        (body(model="x"), "'model' must be a repository"),
        (body(model="org/../x"), "'model' must be a repository"),
        (body(filename="x.bin"), "'filename' must be a GGUF file"),
        (body(filename="../x.gguf"), "'filename' must be a GGUF file"),
        (body(filename="/etc/x.gguf"), "'filename' must be a GGUF file"),
        (body(filename=".x.gguf"), "'filename' must be a GGUF file"),
        (body(filename="a/b\u0000.gguf"), "'filename' must be a GGUF file"),
    ],
)
async def test_a_request_without_a_file_is_answered_with_the_expected_format(
    pantry: Pantry, sent: bytes, said: str
) -> None:
    async with pantry.gateway() as (running, hub):
        response = await ask(running.port, PULL, sent, AUTHORIZED)
        assert response.status == 400
        assert said in str(response.json()["error"])
        assert hub.stats.requests == 0


async def test_a_name_of_the_catalog_is_not_taken(pantry: Pantry) -> None:
    async with pantry.gateway() as (running, _):
        response = await ask(running.port, PULL, body(filename="PHI-3-mini.gguf"), AUTHORIZED)
        assert (response.status, "'phi-3-mini'" in str(response.json()["error"])) == (409, True)


@pytest.mark.parametrize(
    ("faults", "status", "said"),
    [
        (
            Faults(refuse=(404, "RepoNotFound")),
            404,
            "no such repository (404: RepoNotFound: Refused). Check the repository",
        ),
        (Faults(refuse=(404, "EntryNotFound")), 404, "case-sensitive"),
        (
            Faults(refuse=(403, "GatedRepo")),
            403,
            "account of the token of the Secret of larder:shimmy.pulls.hub-secret",
        ),
        (Faults(refuse=(401, None)), 403, "Check the token of the Secret of larder:shimmy.pulls.hub-secret"),
        (Faults(refuse=(503, None)), 502, "503"),
        (Faults(wrong_commit="main"), 502, "no commit"),
    ],
)
async def test_a_refusal_of_the_hub_is_a_status_with_the_reason(
    pantry: Pantry, faults: Faults, status: int, said: str
) -> None:
    async with pantry.gateway(faults) as (running, _):
        response = await ask(running.port, PULL, body(), AUTHORIZED)
        assert response.status == status
        assert said in str(response.json()["error"])
        assert (await ask(running.port, PULL, body(), AUTHORIZED)).status == status  # the place is free again


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"lmgg" + bytes(400), "legacy format GGML"),
        (b"".join(tiny_model())[:-400], "truncated"),
        (b"<html>", "is not GGUF"),
    ],
)
async def test_a_file_that_no_engine_loads_is_deleted(pantry: Pantry, content: bytes, said: str) -> None:
    pantry.publish(FILE, content=content)
    async with pantry.gateway() as (running, _):
        last = lines((await ask(running.port, PULL, body(), AUTHORIZED)).body)[-1]
        assert last["status"] == "error"
        assert said in last["error"]
    assert not [path for path in pantry.models.rglob("*") if path.is_file() and path.suffix != ".json"]


async def test_bytes_that_are_not_the_files_are_never_a_model(pantry: Pantry) -> None:
    async with pantry.gateway(Faults(garbage=True)) as (running, _):
        last = lines((await ask(running.port, PULL, body(), AUTHORIZED)).body)[-1]
        assert (last["status"], "sha256" in last["error"]) == ("error", True)
    assert pantry.files() == []


async def test_a_full_disk_is_reported_before_the_download(pantry: Pantry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    async with pantry.gateway() as (running, hub):
        response = await ask(running.port, PULL, body(), AUTHORIZED)
        assert (response.status, "1000 are free" in str(response.json()["error"])) == (507, True)
        assert hub.stats.bytes == {}


@pytest.mark.parametrize("broken", ["thread", "loop"])
async def test_a_fault_of_the_service_ends_the_pull_and_is_in_the_log(
    pantry: Pantry, broken: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async with pantry.gateway() as (running, _):
        with monkeypatch.context() as patch:
            if broken == "loop":
                patch.setattr(Pulls, "_look", lambda _: 1 // 0)
            else:
                patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 // 0))
            response = await asyncio.wait_for(ask(running.port, PULL, body(), AUTHORIZED), timeout=10)
        assert "ZeroDivisionError" in response.body.decode()
        assert "ZeroDivisionError" in capfd.readouterr().err
        last = lines((await ask(running.port, PULL, body(), AUTHORIZED)).body)[-1]
        assert last["status"] == "complete"


async def test_an_existing_file_is_not_fetched_again(pantry: Pantry) -> None:
    async with pantry.gateway() as (running, hub):
        for reused in (False, True):
            last = lines((await ask(running.port, PULL, body(), AUTHORIZED)).body)[-1]
            assert (last["status"], last["reused"]) == ("complete", reused)
        assert sum(hub.stats.bytes.values()) == 400_000


async def test_another_file_of_that_name_is_not_overwritten(pantry: Pantry) -> None:
    (pantry.models / FILE).write_bytes(b"mine")
    async with pantry.gateway() as (running, _):
        response = await ask(running.port, PULL, body(), AUTHORIZED)
        assert (response.status, "another file" in str(response.json()["error"])) == (409, True)
    assert (pantry.models / FILE).read_bytes() == b"mine"


async def test_one_pull_runs_at_a_time_and_others_are_told_which(pantry: Pantry) -> None:
    async with pantry.gateway(Faults(stall_after=300_000)) as (running, _), connect(running.port) as first:
        await follow(first)
        for other in (body(), body(filename="Other.gguf")):
            response = await ask(running.port, PULL, other, AUTHORIZED)
            assert response.status == 409
            assert response.json()["error"] == f"Download already in progress: {REPO}/{FILE}"
        status = (await ask(running.port, "/", method="GET")).json()["download_status"]
        assert status == response.json()["download_status"]
        expected = {"in_progress": True, "current_model": REPO, "current_filename": FILE, "total": 400_000}
        assert expected.items() <= status.items()  # type: ignore[attr-defined]  # json() says object


async def test_clients_of_the_same_file_share_a_pull_that_survives_the_first_client(pantry: Pantry) -> None:
    async with pantry.gateway(Faults(stall_after=300_000)) as (running, hub), connect(running.port) as second:
        async with connect(running.port) as first:
            await follow(first)
            await second.post(f"{PULL}?wait=true", body(), AUTHORIZED)
            await until(lambda: running.lifecycle.in_flight == 2, "both clients")
            await until(lambda: sum(hub.stats.bytes.values()) == 300_000, "the stall")
        hub.faults = Faults()
        hub.closing.set()  # the stalled body breaks off; the next attempt resumes
        response = await second.response()
        assert [line["status"] for line in lines(response.body)] == ["retry", "complete"]
    assert sum(hub.stats.bytes.values()) == 400_000
    assert pantry.files() == [FILE]


async def test_a_drain_is_reported_to_clients_of_a_pull(pantry: Pantry) -> None:
    drain = {"serve-seconds": 0, "grace-seconds": 10}
    stalled = Faults(stall_after=300_000)
    async with pantry.gateway(stalled, drain=drain) as (running, _), connect(running.port) as client:
        await follow(client)
        assert await asyncio.wait_for(running.lifecycle.drain(), 5) == 0
        assert "shutting down" in json.loads(await client.chunk())["error"]
    assert pantry.files() == []


async def test_the_gateway_answers_other_requests_during_a_pull(pantry: Pantry) -> None:
    async with pantry.gateway(Faults(stall_after=300_000)) as (running, _), connect(running.port) as client:
        await follow(client)
        assert (await ask(running.port, CHAT, b"{}")).status == 200
        health = await ask(running.port, "/v1/health", method="GET")
        assert (health.status, health.json()["status"]) == (200, "ok")


async def test_health_says_when_the_engine_does_not_answer(pantry: Pantry, engine: Engine) -> None:
    async with pantry.gateway() as (running, _):
        await engine.stop()
        health = await ask(running.port, "/v1/health", method="GET")
        assert (health.status, health.json()["status"]) == (503, "error")


async def test_an_old_client_gets_its_lines_until_the_connection_closes(pantry: Pantry) -> None:
    async with pantry.gateway() as (running, _), connect(running.port) as client:
        await client.send(request(PULL, body(), AUTHORIZED).replace(b"HTTP/1.1", b"HTTP/1.0"))
        response = await client.response()
        assert [line["status"] for line in lines(response.body)] == ["starting", "complete"]


@pytest.mark.parametrize("path", ["/v1/health", PULL])
async def test_without_the_block_there_is_no_download_service(start: Start, path: str) -> None:
    async with start() as running:
        assert (await ask(running.port, path, method="GET")).status == 404


async def test_errors_of_the_service_have_its_shape(pantry: Pantry) -> None:
    async with pantry.gateway() as (running, _):
        response = await ask(running.port, PULL, method="GET")
        assert (response.status, response["allow"], response.json()["status"]) == (405, "POST", "error")
        assert (await ask(running.port, PULL, b" " * 5000, AUTHORIZED)).status == 413
