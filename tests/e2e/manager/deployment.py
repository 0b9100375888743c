"""The manager's surroundings on the embedded cluster: a catalog in git, the image of git-sync, a way to its Service."""

import functools
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from testbed.cluster.layout import HOST, REGISTRY_NAME
from testbed.cluster.network import Link
from testbed.images.build import GIT_SYNC
from testbed.toolchain import tools
from tests.e2e.conftest import ROOT, Platform
from tests.e2e.manager.harness import Manager
from tests.unit.stack_config import entry


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Log nothing: git-sync polls every second."""


class Repository:
    """A catalog in git, served as plain files for clones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "catalog"
        self._git("init", "--quiet", self.folder)

    def commit(self, *models: str) -> str:
        entries = self.folder / "models"
        entries.mkdir(exist_ok=True)
        for model in models:
            (entries / f"{model}.yaml").write_text(entry(model).to_json())
        self._git("-C", self.folder, "add", "-A")
        self._git("-C", self.folder, "-c", "user.name=e", "-c", "user.email=e@localhost", "commit", "-qm", "models")
        self._git("-C", self.folder, "update-server-info")
        return self._git("-C", self.folder, "rev-parse", "HEAD")

    @contextmanager
    def served(self) -> Iterator[str]:
        """Its URL, as pods reach it."""
        address = Link.of((HOST / "subnet").read_text()).host
        handler = functools.partial(_Files, directory=str(self.folder))
        with ThreadingHTTPServer((address, 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://{address}:{server.server_address[1]}/.git"
            server.shutdown()

    @staticmethod
    def _git(*words: str | Path) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()


def git_sync(platform: Platform) -> str:
    """The reference of its image, pushed where the cluster pulls."""
    return f"{REGISTRY_NAME}/{GIT_SYNC.repository}@{GIT_SYNC.ensure(platform.cluster.registry)}"


def pulumi(words: str) -> None:
    """The CLI, as `make up` tells people to use it."""
    shell = f". {os.environ['LARDER_STATE']}/env && pulumi {words}"
    subprocess.run(["bash", "-c", shell], cwd=ROOT, check=True, capture_output=True)


def forget_state(platform: Platform) -> None:
    """Delete what a stack leaves for good when the block is dropped: the next one with a manager makes it anew."""
    platform.kubectl("-n", "ai", "delete", "pvc", "model-manager-state", "--ignore-not-found")
    platform.kubectl("delete", "pv", "model-manager-state", "--ignore-not-found")


@contextmanager
def reached(platform: Platform) -> Iterator[Manager]:
    """A way to the Service from this host."""
    kubectl: list[str | Path] = [
        tools.KUBERNETES.home / "bin" / "kubectl",
        "--kubeconfig",
        platform.cluster.kubeconfig,
        "-n",
        "ai",
    ]
    forward = [*kubectl, "port-forward", "service/larder-manager", ":80"]
    with subprocess.Popen(forward, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        match = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert match
        yield Manager(int(match[1]))
        process.terminate()
