"""Edge cases of the cluster, the disk and the clock."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.manager.history import History, StateError

from tests.sidecar.manager.conftest import TOKEN, Client, Repository, Start
from tests.sidecar.manager.scripted import LOADING, READY, STOPPED, Cluster, becomes_ready


async def _applied(cluster: Cluster) -> None:
    """Wait until the manager has applied the object."""
    assert await asyncio.to_thread(cluster.gets.acquire, timeout=10)


async def test_an_object_that_is_being_deleted_is_not_ready(manager: Client, cluster: Cluster) -> None:
    await manager.activate("alpha")
    cluster.deleting = "2026-11-30T12:00:00Z"
    reply = await manager.activate("beta")
    assert (reply.status, reply.body["error"]["code"]) == (409, "conflict")
    assert "has been terminating since 2026-11-30T12:00:00Z" in reply.message
    assert "Fix: " in reply.message
    active = (await manager.get("/active")).body
    assert (active["active"]["state"], active["changing"]) == ("failed", None)
    assert "has been terminating" in active["active"]["reason"]
    cluster.deleting, cluster.object = None, None
    assert (await manager.activate("beta")).status == 200


async def test_a_deletion_while_it_is_waited_for_ends_the_wait(manager: Client, cluster: Cluster) -> None:
    await manager.activate("alpha")
    cluster.controller = lambda _: LOADING
    began = time.monotonic()
    changing = asyncio.create_task(manager.activate("beta"))
    await asyncio.sleep(0.2)
    cluster.deleting = "2026-11-30T12:00:00Z"
    reply = await changing
    assert time.monotonic() - began < 5
    assert (reply.status, reply.body["error"]["code"]) == (502, "activation_failed")
    assert "has been terminating since" in reply.message
    assert "The return to 'alpha' failed too" in reply.message


async def test_an_object_that_is_gone_while_it_is_waited_for_ends_the_wait(manager: Client, cluster: Cluster) -> None:
    await manager.activate("alpha")
    cluster.controller = lambda content: becomes_ready(content) if "alpha" in json.dumps(content) else LOADING
    began = time.monotonic()
    changing = asyncio.create_task(manager.activate("beta"))
    await asyncio.sleep(0.2)
    cluster.object = None
    reply = await changing
    assert time.monotonic() - began < 5
    assert (reply.status, cluster.serves()) == (502, "alpha")
    assert reply.message.startswith("InferenceService active-llm was deleted")
    assert reply.message.endswith("'alpha' is ready again")


async def test_another_object_of_the_same_name_is_not_the_one_that_is_waited_for(
    manager: Client, cluster: Cluster
) -> None:
    await manager.activate("alpha")
    cluster.controller = lambda _: LOADING
    changing = asyncio.create_task(manager.activate("beta"))
    await asyncio.sleep(0.2)
    cluster.uid, cluster.controller = "another", becomes_ready
    reply = await changing
    assert reply.status == 502
    assert "InferenceService active-llm was deleted and created again" in reply.message


async def test_a_deleted_object_serves_nothing(manager: Client, cluster: Cluster) -> None:
    await manager.activate("alpha")
    cluster.controller = lambda content: None if "stop" in json.dumps(content) else READY
    changing = asyncio.create_task(manager.post("/models/deactivate"))
    await asyncio.sleep(0.2)
    cluster.deleting = "2026-11-30T12:00:00Z"
    await asyncio.sleep(0.2)
    assert not changing.done()
    cluster.object = None
    assert (await changing).status == 200


@pytest.mark.parametrize(
    "answer",
    [b'{"metadata": null}', b'{"metadata": {"generation": "x"}}', b'{"metadata": [], "status": 1}', b"[" * 9999],
)
async def test_an_invalid_answer_of_the_api_server_is_reported(
    manager: Client, cluster: Cluster, answer: bytes
) -> None:
    cluster.refusals["PATCH"] = (200, answer)
    cluster.refusals["GET"] = (200, answer)
    assert (await manager.activate("alpha")).status == 503
    assert (await manager.get("/active")).status == 503


# --- an object made with an older KServe


def _kserve(cluster: Cluster, mode: str) -> None:
    """Refuse as KServe's webhook does, which compares the annotation with the status letter by letter."""
    decide = cluster._decide

    def deciding(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if method == "PATCH":
            wanted = json.loads(body)["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
            if wanted != mode:
                said = f"update rejected: deploymentMode cannot be changed from '{mode}' to '{wanted}'"
                return 403, json.dumps({"message": said}).encode()
        status, answer = decide(method, path, body)
        content = json.loads(answer)
        content.setdefault("status", {})["deploymentMode"] = mode
        return status, json.dumps(content).encode()

    cluster._decide = deciding  # type: ignore[method-assign]  # the scripted server takes any decision


@pytest.mark.parametrize(
    ("theirs", "ours", "status"),
    [
        ("RawDeployment", "Standard", 200),
        ("Standard", "RawDeployment", 200),
        ("Serverless", "Knative", 200),
        ("Knative", "Serverless", 200),
        ("Standard", "Standard", 200),
        ("Knative", "Standard", 503),
        ("Serverless", "Standard", 503),
    ],
)
async def test_a_deployment_mode_by_its_other_name_is_the_same_mode(
    start: Start, repository: Repository, cluster: Cluster, config: dict[str, Any], theirs: str, ours: str, status: int
) -> None:
    repository.publish("alpha", "beta")
    cluster.object = {"metadata": {"generation": 1, "annotations": {"larder/model": "old"}}, "spec": {}}
    _kserve(cluster, theirs)
    service = {**config["inference-service"], "annotations": {"serving.kserve.io/deploymentMode": ours}}
    async with start(**{"inference-service": service}) as manager:
        reply = await manager.activate("alpha")
    assert reply.status == status
    assert cluster.serves() == ("alpha" if status == 200 else "old")


# --- the state


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], None]]:
    """Have SQLite fail as it does on a disk that is full, gone or read-only: only a mount of one's own can."""
    wrong: list[tuple[str, int]] = []
    real = sqlite3.connect

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if wrong and not sql.startswith("SELECT"):
                error = sqlite3.OperationalError(wrong[0][0])
                error.sqlite_errorcode = wrong[0][1]
                raise error
            return super().execute(sql, *parameters)

    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: real(*args, factory=Connection, **more))

    def breaking(message: str, code: int) -> None:
        wrong[:] = [(message, code)] if message else []

    yield breaking
    wrong.clear()


@pytest.mark.parametrize(
    ("message", "code", "status", "says"),
    [
        ("database or disk is full", sqlite3.SQLITE_FULL, 507, "is full"),
        ("attempt to write a readonly database", sqlite3.SQLITE_READONLY, 503, "cannot be written to"),
        ("disk I/O error", sqlite3.SQLITE_IOERR, 503, "cannot be written to"),
        ("database disk image is malformed", sqlite3.SQLITE_CORRUPT, 503, "is damaged"),
    ],
)
async def test_without_room_for_its_history_nothing_is_changed(
    broken: Callable[[str, int], None],
    start: Start,
    repository: Repository,
    cluster: Cluster,
    message: str,
    code: int,
    status: int,
    says: str,
) -> None:
    repository.publish("alpha", "beta")
    async with start() as manager:
        assert (await manager.activate("alpha")).status == 200
        asked = len(cluster.asked)
        broken(message, code)
        for path, body in (("/models/activate", {"id": "beta"}), ("/models/deactivate", b"")):
            reply = await manager.post(path, body)
            assert (reply.status, reply.body["error"]["code"]) == (status, "state_unwritable")
            assert says in reply.message
            assert "Fix: " in reply.message
        assert (cluster.serves(), len(cluster.asked)) == ("alpha", asked)
        assert (await manager.get("/active")).body["active"]["id"] == "alpha"
        broken("", 0)
        assert (await manager.activate("beta")).status == 200


async def test_an_outcome_that_could_not_be_written_is_written_later(
    broken: Callable[[str, int], None], start: Start, repository: Repository, cluster: Cluster
) -> None:
    repository.publish("alpha", "beta")
    cluster.controller = lambda _: LOADING
    async with start() as manager:
        changing = asyncio.create_task(manager.activate("alpha"))
        await _applied(cluster)
        broken("database or disk is full", sqlite3.SQLITE_FULL)
        cluster.controller = becomes_ready
        assert (await changing).status == 200
        assert (await manager.get("/active")).body["last"]["outcome"] == "ready"
        broken("", 0)
        cluster.controller = lambda content: becomes_ready(content) if "alpha" in json.dumps(content) else LOADING
        cluster.refusals["PATCH"] = (400, b"no")
        assert (await manager.activate("beta")).status == 422
        assert (await manager.get("/active")).body["last"]["outcome"] == "refused"


def test_a_damaged_history_is_reported_at_the_start(tmp_path: Path) -> None:
    history = History(tmp_path)
    for _ in range(200):
        history.finish(history.begin("alpha", {"n": "x" * 500}), "ready")
    history.close()
    file = tmp_path / "manager.sqlite"
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(StateError, match=r"is damaged .*Fix: move it away"):
        History(tmp_path)


def test_an_invalid_row_is_reported_and_raises_no_other_error(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.finish(history.begin("alpha", {}), "ready")
    history.close()
    with sqlite3.connect(tmp_path / "manager.sqlite") as db:
        db.execute("UPDATE activations SET object = 'no JSON'")
    db.close()
    history = History(tmp_path)
    with pytest.raises(StateError, match="is damaged"):
        history.last_success()
    history.close()


# --- the clock


async def test_a_clock_that_goes_back_shows_no_time_before_the_start(
    manager: Client, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.controller = lambda _: LOADING
    changing = asyncio.create_task(manager.activate("alpha"))
    await _applied(cluster)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    reply = await manager.activate("beta")
    assert reply.status == 409
    assert "for 0 s" in reply.message
    cluster.controller = becomes_ready
    assert (await changing).status == 200
    last = (await manager.get("/active")).body["last"]
    assert last["finished"] >= last["started"]


# --- bodies


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
async def test_deactivation_takes_json_or_nothing(manager: Client, cluster: Cluster, kind: str) -> None:
    await manager.activate("alpha")
    assert (await manager.post("/models/deactivate", b"{}", kind=kind)).status == 415
    assert cluster.serves() == "alpha"
    head = "POST /models/deactivate HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n"
    token = f"authorization: Bearer {TOKEN}\r\n"
    cluster.controller = lambda content: STOPPED if "stop" in json.dumps(content) else READY
    assert (await manager.send(head + token)).status == 200
