"""The manager as `make up` deploys it: its pod, its volumes, its token, a catalog that changes beside it."""

import functools
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from testbed import packages
from testbed.cluster.layout import HOST, REGISTRY_NAME
from testbed.cluster.network import Link
from testbed.images.build import GIT_SYNC
from testbed.plugin.client import Client
from testbed.toolchain import tools
from tests.e2e.conftest import ROOT, Platform
from tests.e2e.manager.harness import TOKEN, Controller, Manager
from tests.unit.stack_config import entry

pytestmark = pytest.mark.timeout(3600)
BLOCK = """
  larder:images: {{git-sync: {image}}}
  larder:manager:
    catalog: {{repo: "{repo}", period: 1s}}
    inference: {{storage-uri: "pvc://venus-model-storage/{{id}}"}}
    state: {{node: larder, path: /var/lib/larder/manager, size: 1Gi, prepare-path: true}}
"""


class Repository:
    """A catalog in git, served as plain files to whoever clones it."""

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
        handler = functools.partial(SimpleHTTPRequestHandler, directory=str(self.folder))
        with ThreadingHTTPServer((address, 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://{address}:{server.server_address[1]}/.git"
            server.shutdown()

    @staticmethod
    def _git(*words: str | Path) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    packages.ensure("git")
    found = Repository(tmp_path_factory.mktemp("git"))
    found.commit("alpha")
    return found


@pytest.fixture(scope="module")
def deployed(platform: Platform, repository: Repository, kserve: None) -> Iterator[Platform]:
    """Stack dev with a manager and an encrypted token."""
    stack = Path(os.environ["LARDER_STACKS"], "Pulumi.dev.yaml")
    before = stack.read_text()
    image = f"{REGISTRY_NAME}/{GIT_SYNC.repository}@{GIT_SYNC.ensure(platform.cluster.registry)}"
    with repository.served() as url:
        stack.write_text(before.rstrip() + BLOCK.format(image=image, repo=url))
        setting = f"config set --secret larder:api-token {TOKEN} --stack dev --config-file {stack}"
        _pulumi(setting)
        platform.make("up")
        yield platform
    stack.write_text(before)
    # Made by the manager and not by the stack, so nobody else takes it away.
    platform.cluster.kubectl("delete", "inferenceservice", "active-llm", "--namespace=ai", "--ignore-not-found")
    # The state volume is protected for good: to drop the block takes a word of its own.
    _pulumi("state unprotect --all --yes --stack dev")
    platform.make("up")


def _pulumi(words: str) -> None:
    shell = f". {os.environ['LARDER_STATE']}/env && pulumi {words}"
    subprocess.run(["bash", "-c", shell], cwd=ROOT, check=True, capture_output=True)


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


@pytest.fixture
def controller(api: Client) -> Iterator[Controller]:
    with Controller(api, "ai").running() as controller:
        yield controller


def test_it_serves_the_synced_catalog_and_activates_a_model_of_it(deployed: Platform, controller: Controller) -> None:
    with reached(deployed) as manager:
        assert [model["id"] for model in manager.ask("/models").body["models"]] == ["alpha"]
        assert manager.activate("alpha").status == 200
        assert controller.serves() == "pvc://venus-model-storage/alpha"


def test_a_commit_is_in_the_catalog_without_a_new_pod(deployed: Platform, repository: Repository) -> None:
    commit = repository.commit("beta")
    with reached(deployed) as manager:
        deployed.until(lambda: "yes" if manager.ask("/models").body["catalog"]["commit"] == commit else "", within=30)
        assert manager.ask("/models/beta").status == 200


def test_the_token_is_encrypted_in_the_stack_file_and_in_no_output(deployed: Platform) -> None:
    assert TOKEN not in Path(os.environ["LARDER_STACKS"], "Pulumi.dev.yaml").read_text()
    state = Path(os.environ["LARDER_STATE"], "state")
    assert not [path for path in state.rglob("*.json") if TOKEN in path.read_text()]


def test_git_sync_has_neither_the_account_nor_the_token(deployed: Platform) -> None:
    for container, seen in (("git-sync", "no"), ("manager", "yes")):
        look = "[ -e /run/secrets/larder/token ] && [ -e /var/run/secrets/kubernetes.io/serviceaccount/token ]"
        told = deployed.kubectl(
            "-n",
            "ai",
            "exec",
            "deploy/larder-manager",
            "-c",
            container,
            "--",
            "sh",
            "-c",
            f"{look} && echo yes || echo no",
        )
        assert told.strip() == seen


def test_a_new_pod_knows_what_the_one_before_did(deployed: Platform, controller: Controller) -> None:
    with reached(deployed) as manager:
        assert manager.activate("beta").status == 200
    deployed.kubectl("-n", "ai", "delete", "pod", "-l", "app.kubernetes.io/name=larder-manager", "--wait=true")
    deployed.kubectl("-n", "ai", "rollout", "status", "deployment/larder-manager", "--timeout=120s")
    controller.verdicts["alpha"] = {"modelStatus": {"transitionStatus": "InvalidSpec"}}
    with reached(deployed) as manager:
        last = manager.ask("/active").body["last"]
        assert (last["model"], last["outcome"]) == ("beta", "ready")
        assert "'beta' is ready again" in manager.activate("alpha").message


def test_a_second_up_leaves_the_active_model_alone(deployed: Platform, controller: Controller) -> None:
    before = controller.get()["metadata"]["generation"]
    assert "Nothing changed." in deployed.make("up")
    assert controller.get()["metadata"]["generation"] == before
    assert json.dumps(controller.get()["spec"])
