"""A pull into a folder of several writers: two at once, a full disk, a kill -9, whatever lies in the folder."""

import errno
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from larder_sidecar.weights.download.pull import Pull, Pulled, PullTarget, list_models
from larder_sidecar.weights.errors import DiskFullError, FetchError, GgufError, OccupiedError
from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.retry import Patience
from larder_sidecar.weights.sources.hub import Hub

from testbed.hub.faults import Faults
from testbed.hub.gguf_writer import gguf
from testbed.hub.server import Hub as LocalHub
from tests.sidecar.weights.download.test_interruption import until
from tests.sidecar.weights.kitchen import BIG, PATIENCE, Kitchen

WANTED = PullTarget(model="larder/tiny-GGUF", filename="tiny.gguf")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def pull(models: Path, hub: LocalHub, *, patience: Patience = PATIENCE, log: io.StringIO | None = None) -> Pulled:
    with Hub(None, stall_seconds=patience.stall_seconds) as client:
        reporter = Reporter(log or io.StringIO())
        return Pull(WANTED, models, hub.url, client, reporter, patience=patience).run()


def leftovers(models: Path) -> list[str]:
    return sorted(path.name for path in (models / ".larder").rglob("*") if path.is_file())


def test_two_pulls_of_one_file_bring_it_once(kitchen: Kitchen, models: Path) -> None:
    it = kitchen.publish(size=BIG)
    hub = kitchen.hub(Faults(bytes_per_second=6_000_000))
    log, done = io.StringIO(), list[Pulled]()
    other = threading.Thread(target=lambda: done.append(pull(models, hub, log=log)))
    other.start()
    until(lambda: (models / ".larder" / "lease").exists())
    waited = io.StringIO()
    second = pull(models, hub, log=waited)
    other.join()
    assert (done[0].reused, second.reused) == (False, True)
    assert '"waiting"' in waited.getvalue()
    assert sum(hub.stats.bytes.values()) == it.bytes
    assert (list_models(models), leftovers(models)) == (["tiny"], [])


def test_a_disk_that_fills_up_keeps_what_came(kitchen: Kitchen, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = kitchen.publish(size=BIG)
    hub, written, write = kitchen.hub(), [0], os.pwrite

    def until_full(file: int, content: bytes, offset: int) -> int:
        written[0] += len(content)
        if written[0] > BIG // 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, content, offset)

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", until_full)
        with pytest.raises(DiskFullError, match="No space left on device"):
            pull(models, hub)
    assert list_models(models) == []
    assert "lease" not in leftovers(models)
    before = sum(hub.stats.bytes.values())
    assert pull(models, hub).bytes == it.bytes
    assert sum(hub.stats.bytes.values()) - before < it.bytes
    assert leftovers(models) == []


@pytest.fixture
def gateway(models: Path, tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(models: Path, hub: LocalHub, folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A gateway with pulls, and its port."""
    config = folder / "gateway.json"
    settings = {
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "engines": [{"kind": "llama-server", "url": "http://127.0.0.1:9"}],
        "models": [{"id": "other", "engine-name": "other"}],
        "pulls": {"folder": str(models), "endpoint": hub.url},
        "auth": {"mutations": "open"},
    }
    config.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "larder_sidecar", "gateway", "--config", str(config)]
    environment = {"PATH": os.environ["PATH"]}
    process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, cwd=folder)
    assert process.stdout
    for line in process.stdout:
        if port := json.loads(line).get("port"):
            return process, int(port)
    raise AssertionError


def test_what_a_killed_gateway_left_is_resumed_at_once(
    kitchen: Kitchen, models: Path, tmp_path: Path, gateway: list[subprocess.Popen[str]]
) -> None:
    it = kitchen.publish(size=BIG)
    hub = kitchen.hub(Faults(stall_after=BIG // 2))
    process, port = start(models, hub, tmp_path)
    gateway.append(process)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/v1/api/pull", WANTED.model_dump_json(), {"Content-Type": "application/json"})
    parts = models / ".larder" / "parts"
    until(lambda: any(path.stat().st_size > BIG // 3 for path in parts.glob("*")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    connection.close()
    assert "lease" in leftovers(models)
    assert list_models(models) == []
    (models / ".larder" / "tmp" / "half.tmp").write_text("half")
    hub.faults = Faults()
    hub.closing.set()
    before, began = sum(hub.stats.bytes.values()), time.monotonic()
    assert not pull(models, hub).reused
    assert time.monotonic() - began < 5
    assert sum(hub.stats.bytes.values()) - before < it.bytes
    assert (list_models(models), leftovers(models)) == (["tiny"], [])


def test_a_file_without_a_tensor_is_no_model(kitchen: Kitchen, models: Path) -> None:
    kitchen.publish(chunks=[gguf({"general.architecture": "llama"}, [])])
    with pytest.raises(GgufError, match=r"^larder/tiny-GGUF/tiny\.gguf: the file has no tensors"):
        pull(models, kitchen.hub())
    assert (list_models(models), leftovers(models)) == ([], [])


def test_a_folder_that_is_gone_or_a_file_is_said(kitchen: Kitchen, models: Path) -> None:
    kitchen.publish()
    hub = kitchen.hub()
    models.rmdir()
    assert list_models(models) == []
    assert not pull(models, hub).reused
    file = models.parent / "file"
    file.write_text("")
    with pytest.raises(FetchError, match="file"):
        pull(file, hub)


def test_a_twin_in_another_case_is_another_file(kitchen: Kitchen, models: Path) -> None:
    kitchen.publish()
    (models / "TINY.gguf").write_bytes(b"mine")
    pull(models, kitchen.hub())
    assert list_models(models) == ["TINY", "tiny"]
    assert (models / "TINY.gguf").read_bytes() == b"mine"


def test_a_link_to_the_very_file_is_taken_and_one_to_another_is_not(kitchen: Kitchen, models: Path) -> None:
    kitchen.publish()
    hub = kitchen.hub()
    pull(models, hub)
    (models / "tiny.gguf").rename(models / "kept")
    (models / "tiny.gguf").symlink_to("kept")
    assert pull(models, hub).reused
    (models / "kept").write_bytes(bytes((models / "kept").stat().st_size))
    with pytest.raises(OccupiedError):
        pull(models, hub)
