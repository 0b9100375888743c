"""`make up CONTEXT=… REGISTRY=…`: a cluster that somebody else runs, known only by a kubeconfig and a registry."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from testbed.hub.repository import Repositories
from testbed.hub.tiny_model import tiny_model
from testbed.paths import STATE
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


@pytest.fixture
def theirs():
    Repositories(THEIRS / "hub").publish("larder/tiny-random-GGUF", "tiny-random.gguf", tiny_model())
    try:
        started = "from testbed.up import embedded_cluster\nc = embedded_cluster()"
        shown = "import json\nprint(json.dumps([c.registry, c.hub, str(c.kubeconfig)]))"
        yield json.loads(owner(f"{started}\n{shown}").splitlines()[-1])
    finally:
        owner("cluster.drop(keep_disk=False)")


def test_the_stack_comes_up_on_a_cluster_that_exists(theirs, tmp_path: Path) -> None:
    registry, hub, kubeconfig = theirs
    stack = (ROOT / "Pulumi.dev.yaml").read_text().replace("[tinyllama-1.1b-chat]", "[tiny-random]")
    (tmp_path / "Pulumi.dev.yaml").write_text(f"{stack}  larder:hub: {{endpoint: '{hub}'}}\n")
    env = os.environ | {
        "LARDER_STATE": str(tmp_path / "state"),
        "LARDER_STACKS": str(tmp_path),
        "KUBECONFIG": kubeconfig,
        "PATH": f"{tools.KUBERNETES.home}/bin:{os.environ['PATH']}",
        "CONTEXT": "larder",
        "REGISTRY": registry,
    }

    def make(target: str) -> str:
        done = subprocess.run(
            ["make", "--no-print-directory", target], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "Larder is up." in make("up")
    with urllib.request.urlopen(f"{make('url').strip()}/v1/models", timeout=10) as answer:
        assert [model["id"] for model in json.load(answer)["data"]] == ["tiny-random"]
    make("down")
