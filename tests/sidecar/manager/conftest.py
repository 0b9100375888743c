"""The real manager on the loop it ships with, over a catalog like git-sync's and a scripted API server."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop
from larder_sidecar.config.manager import ManagerConfig
from larder_sidecar.log import Log
from larder_sidecar.manager.serve import run_manager

from tests.sidecar.gateway.conftest import Lines
from tests.sidecar.manager.scripted import Cluster
from tests.unit.stack_config import entry

TOKEN = "0123456789abcdef0123456789abcdef"


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    return {"uvloop": uvloop.new_event_loop}


def put(file: str, text: str) -> None:
    """Renew a mounted file."""
    Path(file).write_text(text)


@dataclass
class Repository:
    """A folder as git-sync keeps it: <root>/current -> .worktrees/<commit>, flipped by a rename."""

    root: Path
    commits: int = 0

    def publish(self, *models: str, files: Mapping[str, str] | None = None) -> str:
        """Write a commit with entries of these models and other files; return its hash."""
        self.commits += 1
        commit = f"{self.commits:040x}"
        folder = self.root / ".worktrees" / commit / "models"
        folder.mkdir(parents=True)
        for model in models:
            (folder / f"{model}.yaml").write_text(entry(model).to_json())
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        self.point(Path(".worktrees", commit))
        return commit

    def point(self, target: Path) -> None:
        """Flip the link."""
        new = self.root / "tmp-link"
        new.symlink_to(target)
        new.rename(self.root / "current")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is missing")
        pytest.skip("openssl is missing, which makes the certificate of the API server")
    path = tmp_path_factory.mktemp("tls") / "ca.crt"
    subject = ["-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{path}.key"]
    subprocess.run(["openssl", "req", "-x509", *key, "-out", path, *subject], check=True, capture_output=True)
    return path


@pytest.fixture
def cluster(certificate: Path) -> Iterator[Cluster]:
    with Cluster(certificate) as cluster:
        yield cluster


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    root = tmp_path / "catalog"
    root.mkdir()
    return Repository(root)


@pytest.fixture
def config(tmp_path: Path, cluster: Cluster, certificate: Path, repository: Repository) -> dict[str, Any]:
    """Return manager.json, with everything it names in place."""
    (tmp_path / "state").mkdir()
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "account").write_text("account-token")
    return {
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "token-file": str(tmp_path / "token"),
        "state": str(tmp_path / "state"),
        "catalog": {"link": str(repository.root / "current")},
        "api": {"url": cluster.url, "token-file": str(tmp_path / "account"), "ca-file": str(certificate)},
        "inference-service": {
            "namespace": "ai",
            "predictor": {"minReplicas": 1, "model": {"runtime": "vllm-runtime", "modelFormat": {"name": "custom"}}},
            "storage-uri": "pvc://models/{id}",
        },
        "slack-seconds": 30,
        "poll-seconds": 0.01,
    }


@dataclass(frozen=True)
class Reply:
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def message(self) -> str:
        """Return the message of the error."""
        return str(self.body["error"]["message"])


@dataclass
class Client:
    """Client of a running manager."""

    port: int
    admin_port: int
    log: Lines = field(default_factory=Lines)

    async def get(self, path: str, *, admin: bool = False) -> Reply:
        return await self.send(f"GET {path} HTTP/1.1\r\nhost: a\r\n", port=self.admin_port if admin else self.port)

    async def post(
        self, path: str, content: object = b"", *, token: str | None = TOKEN, kind: str = "application/json"
    ) -> Reply:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        shown = f"authorization: Bearer {token}\r\n" if token is not None else ""
        head = f"POST {path} HTTP/1.1\r\nhost: a\r\n{shown}content-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        return await self.send(head, body)

    async def activate(self, model: str) -> Reply:
        return await self.post("/models/activate", {"id": model})

    async def send(self, head: str, body: bytes = b"", *, port: int | None = None) -> Reply:
        reader, writer = await asyncio.open_connection("127.0.0.1", port or self.port)
        try:
            writer.write(head.encode() + b"connection: close\r\n\r\n" + body)
            answer = await reader.read()
        finally:
            writer.close()
        top, _, rest = answer.partition(b"\r\n\r\n")
        lines = top.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        return Reply(int(lines[0].split()[1]), headers, json.loads(rest) if rest else None)


Start = Callable[..., contextlib.AbstractAsyncContextManager[Client]]


@pytest.fixture
def start(config: dict[str, Any]) -> Start:
    """Start a manager, with other settings than the usual ones."""

    @contextlib.asynccontextmanager
    async def starting(**changes: object) -> AsyncIterator[Client]:
        log = Lines()
        settings = ManagerConfig.model_validate({**config, **changes})
        async with run_manager(settings, Log("debug", log, delay=0)) as manager:
            yield Client(manager.port, manager.admin_port, log)

    return starting


@pytest.fixture
async def manager(start: Start, repository: Repository) -> AsyncIterator[Client]:
    repository.publish("alpha", "beta")
    async with start() as client:
        yield client
