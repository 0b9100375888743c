"""Requests that change nothing: no token, no body, no such path; and settings with which it does not start."""

import asyncio
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.cli import main
from larder_sidecar.config.manager import ManagerConfig
from pydantic import ValidationError

from tests.sidecar.manager.conftest import TOKEN, Client, Start, put
from tests.sidecar.manager.scripted import Cluster


@pytest.mark.parametrize("path", ["/models/activate", "/models/deactivate"])
@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], TOKEN + "0", TOKEN.upper() + " "])
async def test_a_change_without_the_token_is_401_and_asks_for_it(
    manager: Client, cluster: Cluster, path: str, token: str | None
) -> None:
    reply = await manager.post(path, {"id": "alpha"}, token=token)
    assert (reply.status, reply.body["error"]["code"]) == (401, "unauthorized")
    assert reply.headers["www-authenticate"].startswith('bearer realm="larder-manager"')
    assert cluster.asked == []
    assert TOKEN not in manager.log.text


@pytest.mark.parametrize(
    "header", [f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN} x", f"Bearer {TOKEN}\r\nauthorization: x"]
)
async def test_a_credential_of_another_scheme_is_refused(manager: Client, header: str) -> None:
    reply = await manager.send(f"POST /models/deactivate HTTP/1.1\r\nhost: a\r\nauthorization: {header}\r\n")
    assert reply.status == 401


async def test_a_token_that_is_renewed_is_the_one_that_counts(manager: Client, config: dict[str, Any]) -> None:
    put(config["token-file"], "f" * 32)
    assert (await manager.activate("alpha")).status == 401
    assert (await manager.post("/models/activate", {"id": "alpha"}, token="f" * 32)).status == 200
    put(config["token-file"], "")
    reply = await manager.post("/models/activate", {"id": "alpha"}, token="")
    assert (reply.status, reply.body["error"]["code"]) == (503, "token_unreadable")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b"[" * 60_000, "Invalid JSON"),
        (b"[]", "object"),
        (b"{}", "id: Field required"),
        (b'{"id": 7}', "id: Input should be a valid string"),
        (b'{"id": ""}', "id: String should have at least 1 character"),
        (b'{"id": "alpha", "force": true}', "force: Extra inputs are not permitted"),
        (b'{"id": "\\ud800"}', "Invalid JSON"),
        (b'{"id":' + b'{"a":' * 10_000, "Invalid JSON"),
        (b'{"id": ["alpha"]}', "id: Input should be a valid string"),
        (b'{"id": {"a": ' + b"[" * 100 + b"]" * 100 + b"}}", "id: Input should be a valid string"),
        (b'{"id": 1' + b"0" * 60_000 + b"}", "Invalid JSON"),
        (b"9" * 60_000, "Invalid JSON"),
        (b'{"id": "alpha", ' + b",".join(b'"%d": 1' % n for n in range(6000)) + b"}", "problems more"),
        (b'{"' + b"k" * 60_000 + b'": 1}', "Extra inputs are not permitted"),
        ('{"id": "alpha"}'.encode("utf-16"), "Invalid JSON"),
    ],
)
async def test_an_invalid_body_is_400_with_the_position(manager: Client, body: bytes, says: str) -> None:
    reply = await manager.post("/models/activate", body)
    assert (reply.status, reply.body["error"]["code"]) == (400, "bad_body")
    assert says in reply.message
    assert len(reply.message) < 16_000


@pytest.mark.parametrize("model", ["alhpa", "../alpha", "al/pha", "alpha\x00", "\u202ealpha", "A" * 60_000])
async def test_an_unknown_model_is_404_and_changes_nothing(manager: Client, cluster: Cluster, model: str) -> None:
    reply = await manager.activate(model)
    assert reply.status == 404
    assert len(reply.message) < 700
    assert cluster.asked == []


async def test_a_body_of_a_megabyte_is_413_unread(manager: Client) -> None:
    assert (await manager.post("/models/activate", b"x" * 2**20)).status == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
async def test_only_json_is_accepted_so_that_no_web_page_can_send_it(manager: Client, kind: str) -> None:
    for path in ("/models/activate", "/models/deactivate"):
        reply = await manager.post(path, {"id": "alpha"}, kind=kind)
        assert (reply.status, reply.body["error"]["code"]) == (415, "not_json")


@pytest.mark.parametrize(
    ("line", "status", "allow"),
    [
        ("GET /models/activate", 405, "post"),
        ("DELETE /models/alpha", 405, "get"),
        ("POST /models", 405, "get"),
        ("PUT /active", 405, "get"),
        ("GET /", 404, None),
        ("GET /model", 404, None),
        ("GET /models%2Falpha", 404, None),
    ],
)
async def test_paths_and_methods_are_a_list(manager: Client, line: str, status: int, allow: str | None) -> None:
    reply = await manager.send(f"{line} HTTP/1.1\r\nhost: a\r\n")
    assert (reply.status, reply.headers.get("allow")) == (status, allow)


async def test_a_client_that_disconnects_leaves_no_request(manager: Client) -> None:
    for data in (b"POST /models/act", b"GET /models HTTP/1.1\r\nhost: a\r\n\r\n"):
        _, writer = await asyncio.open_connection("127.0.0.1", manager.port)
        writer.write(data)
        writer.transport.abort()
    assert (await manager.get("/models")).status == 200


# --- starting: the command itself, in this process


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def running(*words: str) -> Done:
        try:
            code = main(words)
        except SystemExit as end:  # --help
            code = int(end.code or 0)
        return Done(code, *capfd.readouterr())

    return running


@pytest.fixture
def file(tmp_path: Path, config: dict[str, Any]) -> Path:
    path = tmp_path / "manager.json"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(
    "content",
    [None, "", " \n", "short", "has a space in its middle", "é" * 32, "a" * 5000],
    ids=["absent", "empty", "blank", "short", "spaced", "not-ascii", "endless"],
)
def test_without_a_token_it_does_not_start(run: Run, file: Path, config: dict[str, Any], content: str | None) -> None:
    token = Path(config["token-file"])
    token.unlink() if content is None else token.write_text(content)
    done = run("manager", "--config", str(file))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert str(token) in done.stderr
    assert not content or not content.strip() or content not in done.stderr


@pytest.mark.parametrize("state", ["/nowhere/state", "/proc", "/dev/null"])
def test_without_a_place_for_its_history_it_does_not_start(
    run: Run, file: Path, config: dict[str, Any], state: str
) -> None:
    file.write_text(json.dumps({**config, "state": state}))
    done = run("manager", "--config", str(file))
    assert done.returncode == 1
    assert done.stderr.startswith(f"state: {state} cannot be written to (")
    assert "uid 1000" in done.stderr


def test_a_foreign_file_in_its_place_is_not_overwritten(run: Run, file: Path, config: dict[str, Any]) -> None:
    theirs = Path(config["state"], "manager.sqlite")
    theirs.write_text("my notes\n" * 200)
    done = run("manager", "--config", str(file))
    assert (done.returncode, theirs.read_text()) == (1, "my notes\n" * 200)
    assert "is not a history of activations" in done.stderr


def test_without_a_certificate_of_the_cluster_it_does_not_start(run: Run, file: Path, config: dict[str, Any]) -> None:
    for content in (None, "no certificate"):
        ca = file.with_name("other.crt")
        if content:
            ca.write_text(content)
        file.write_text(json.dumps({**config, "api": {**config["api"], "ca-file": str(ca)}}))
        done = run("manager", "--config", str(file))
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert done.stderr.startswith(f"api.ca-file: {ca}: ")


def test_a_port_in_use_is_reported(run: Run, file: Path, config: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        file.write_text(json.dumps({**config, "listen": address}))
        done = run("manager", "--config", str(file))
    assert (
        done.stderr
        == f"listen: {address} is in use by another process. Fix: stop it, or set `listen` to another port\n"
    )


def test_each_problem_of_the_file_has_its_line(run: Run, file: Path, config: dict[str, Any]) -> None:
    service = {**config["inference-service"], "storage-uri": "ftp://x/{id}", "predictor": []}
    file.write_text(json.dumps({**config, "inference-service": service, "poll-seconds": 0, "api": {"url": "http://x"}}))
    done = run("manager", "--config", str(file))
    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert [line.removeprefix(f"{file}: ").split(": ")[0] for line in lines[:-1]] == [
        "api.url",
        "inference-service.predictor",
        "inference-service.storage-uri",
        "poll-seconds",
    ]


def test_help_holds_a_file_that_is_accepted(run: Run) -> None:
    shown = run("manager", "--help").stdout
    example = ManagerConfig.from_json(shown[shown.index("\n{\n") :])
    assert example.inference_service.name == "active-llm"
    assert "openssl rand" in shown


@pytest.mark.parametrize("uri", ["pvc://models/fixed", "file:///{id}", "https://me@host/{id}", "pvc:// /{id}"])
def test_a_storage_uri_that_kserve_would_fail_on_is_refused(config: dict[str, Any], uri: str) -> None:
    with pytest.raises(ValidationError):
        ManagerConfig.model_validate(
            {**config, "inference-service": {**config["inference-service"], "storage-uri": uri}}
        )


async def test_two_managers_cannot_have_one_history(start: Start, config: dict[str, Any]) -> None:
    from larder_sidecar.manager.history import History, StateError

    async with start():
        with pytest.raises(StateError, match="held by another manager"):
            History(Path(config["state"]), lock_seconds=0.05)
    History(Path(config["state"]), lock_seconds=0.05).close()
