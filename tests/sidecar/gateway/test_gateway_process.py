"""`larder-sidecar gateway` as an operator starts it."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from larder_sidecar.cli import main
from larder_sidecar.config.gateway import GatewayConfig
from pydantic import ValidationError

GOOD = {
    "listen": "127.0.0.1:0",
    "admin": "127.0.0.1:0",
    "engines": [{"kind": "ollama", "url": "http://127.0.0.1:9"}],
    "models": [{"id": "tiny", "engine-name": "tiny"}],
}


@dataclass
class Done:
    """The result of a command."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process: starting another takes longer than the command itself."""

    def running(*words: str) -> Done:
        try:
            code = main(words)
        except SystemExit as reason:
            code = int(reason.code or 0)
        return Done(code, *capfd.readouterr())

    return running


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.json"
    path.write_text(json.dumps(GOOD))
    return path


def test_help_holds_a_file_that_is_accepted(run: Run) -> None:
    shown = run("gateway", "--help").stdout
    example = shown[shown.index("\n{\n") :]
    assert GatewayConfig.from_json(example).models[0].id == "tinyllama-1.1b-chat"


def test_each_problem_of_the_file_has_its_line(run: Run, config: Path) -> None:
    config.write_text(
        json.dumps({**GOOD, "listen": "nowhere", "limits": {"connections": 0}, "models": [{"id": "A B"}]})
    )
    done = run("gateway", "--config", str(config))
    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert [line.removeprefix(f"{config}: ").split(": ")[0] for line in lines[:-1]] == [
        "listen",
        "models.0.id",
        "models.0.engine-name",
        "limits.connections",
    ]
    assert "--help" in lines[-1]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("listen", "127.0.0.1:99999"),
        ("admin", "[::1:9090"),
        ("engines.0.url", "http://127.0.0.1:99999"),
        ("engines.0.url", "http://[::1"),
        ("engines.0.url", "http://:11434"),
        ("engines.0.url", "http://engine?path"),
        ("engines.0.url", "http://me:hunter2@127.0.0.1:11434"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(place: str, value: str) -> None:
    changed = {"engines": [{"kind": "ollama", "url": value}]} if place == "engines.0.url" else {place: value}
    with pytest.raises(ValidationError) as caught:
        GatewayConfig.model_validate({**GOOD, **changed})
    (problem,) = caught.value.errors()
    assert ".".join(map(str, problem["loc"])) == place
    assert "hunter2" not in problem["msg"]


@pytest.mark.parametrize(("content", "says"), [("{", "Invalid JSON"), (None, "No such file")])
def test_a_file_that_cannot_be_read_is_reported(run: Run, config: Path, content: str | None, says: str) -> None:
    config.unlink() if content is None else config.write_text(content)
    done = run("gateway", "--config", str(config))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 2)
    assert says in done.stderr


def test_a_port_in_use_is_reported(run: Run, config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config.write_text(json.dumps({**GOOD, "admin": address}))
        done = run("gateway", "--config", str(config))
    assert done.returncode == 1
    assert (
        done.stderr == f"admin: {address} is in use by another process. Fix: stop it, or set `admin` to another port\n"
    )


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(config: Path, sign: signal.Signals) -> None:
    config.write_text(json.dumps({**GOOD, "drain": {"serve-seconds": 0}}))
    with subprocess.Popen(
        [sys.executable, "-m", "larder_sidecar", "gateway", "--config", str(config)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        place = ("127.0.0.1", first["port"])
        with socket.create_connection(place, 10) as late, socket.create_connection(place, 10) as client:
            client.sendall(b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b'"tiny"' in client.recv(4096)
            process.send_signal(sign)
            while "refusing" not in process.stdout.readline():
                pass
            late.sendall(b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n")
            assert late.recv(4096).startswith(b"HTTP/1.1 503")
        rest, _ = process.communicate(timeout=10)
    messages = [json.loads(line)["message"] for line in rest.splitlines()]
    assert process.returncode == 0
    assert (first["message"], messages[-1]) == ("listening", "stopped")
