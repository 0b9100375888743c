"""`make up CONTEXT=… REGISTRY=…`: a cluster that somebody else runs, known only by a kubeconfig and a registry."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.paths import STATE
from testbed.hub.repository import Repositories
from testbed.hub.tiny_model import tiny_model
from testbed.toolchain import tools

from .conftest import ROOT

pytestmark = pytest.mark.timeout(900)

THEIRS = STATE / "theirs"
"""State of the cluster's owner; `make up` runs with a state of its own and knows nothing of this one."""


def owner(code: str) -> str:
    env = os.environ | {"LARDER_STATE": str(THEIRS)}
    program = f"from testbed.cluster import cluster\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=env, check=True, capture_output=True, text=True
    ).stdout


class Checkout:
    """A checkout with a state of its own, which is told of the cluster by its kubeconfig and registry alone."""

    def __init__(self, folder: Path, registry: str, hub: str, kubeconfig: str) -> None:
        self.file, self.state = folder / "Pulumi.dev.yaml", folder / "state"
        stack = (ROOT / "Pulumi.dev.yaml").read_text().replace("[tinyllama-1.1b-chat]", "[tiny-random]")
        self.file.write_text(f"{stack}  larder:hub: {{endpoint: '{hub}'}}\n")
        self.env = os.environ | {
            "LARDER_STATE": str(self.state),
            "LARDER_STACKS": str(folder),
            "KUBECONFIG": kubeconfig,
            "PATH": f"{tools.KUBERNETES.home}/bin:{os.environ['PATH']}",
            "CONTEXT": "larder",
            "REGISTRY": registry,
        }

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, check=False)

    def make(self, target: str) -> str:
        done = self.run("make", "--no-print-directory", target)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    Repositories(THEIRS / "hub").publish("larder/tiny-random-GGUF", "tiny-random.gguf", tiny_model())
    try:
        started = "from dev import embedded\nc = embedded.start(['ollama'])"
        shown = "import json\nprint(json.dumps([c.registry, c.hub, str(c.kubeconfig)]))"
        registry, hub, kubeconfig = json.loads(owner(f"{started}\n{shown}").splitlines()[-1])
        found = Checkout(tmp_path_factory.mktemp("checkout"), registry, hub, kubeconfig)
        assert "Larder is up." in found.make("up")
        yield found
        found.make("down")
    finally:
        owner("cluster.drop(keep_disk=False)")


def test_the_stack_comes_up_on_a_cluster_that_exists(checkout: Checkout) -> None:
    with urllib.request.urlopen(f"{checkout.make('url').strip()}/v1/models", timeout=10) as answer:
        assert [model["id"] for model in json.load(answer)["data"]] == ["tiny-random"]


def test_a_preview_refuses_kserve_where_there_is_none(checkout: Checkout, tmp_path: Path) -> None:
    """As a person does it who has sourced .larder/env: `make up` would have refused before it asks Pulumi."""
    text = re.sub(
        r"(?m)^    cpu: .*$",
        "    cpu: {hosts: [larder]}\n    rocm: {hosts: [larder], accelerator: amd.com/gpu}",
        checkout.file.read_text().replace("strategy: none", "strategy: node-local"),
        count=1,
    )
    text = re.sub(r"(?m)^  larder:models: .*$", "  larder:models: [tiny-random, tiny-second]", text, count=1)
    file = tmp_path / "Pulumi.dev.yaml"
    salt = (checkout.state / "project" / "Pulumi.dev.yaml").read_text()
    salt = next(line for line in salt.splitlines() if line.startswith("encryptionsalt:"))
    vllm = f"registry.example/vllm@sha256:{'1' * 64}"
    file.write_text(
        f"{salt}\n{text}\n  larder:images: {{vllm: '{vllm}'}}\n  larder:kserve: {{pool: rocm, active: tiny-second}}\n"
    )
    script = f'. "$LARDER_STATE/env"; exec pulumi preview --config-file={file} --non-interactive'
    done = checkout.run("sh", "-c", script)
    assert done.returncode != 0
    assert "kserve-0.20-or-later" in done.stdout
    assert "resource 'v1beta1.serving.kserve.io' does not exist" in done.stdout + done.stderr
