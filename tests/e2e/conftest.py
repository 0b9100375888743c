"""One embedded cluster for all end-to-end tests, driven as a person would: `make`, and a line of the stack file."""

import hashlib
import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.plan.plan import make_plan
from components.settings import parse
from components.settings.read import read_catalog
from components.settings.sources import keys_with_ciphertext, merged, read_overlay
from dev.paths import STATE
from preview.document import Planned, document
from preview.program import record, stack_config
from testbed.cluster import cluster, shared
from testbed.cluster.cluster import Cluster
from testbed.cluster.layout import DISK, HOST
from tests.plugin.conftest import cli  # noqa: F401 (a fixture of these tests too)

ROOT = Path(__file__).resolve().parents[2]
SHARED = "e2e-shared"
"""Class of the shared volume: its claim stays unbound until a test makes one (`shared_disk`)."""


@dataclass
class Platform:
    """Stack dev as deployed by `make up`, and actions to change it."""

    url: str = ""
    root: Path = ROOT
    """The checkout whose commands deploy it."""

    def make(self, target: str, timeout: float = 900) -> str:
        """Run a make target; return its output. Fail the test if it fails."""
        done = _make(target, timeout, self.root)
        assert done.returncode == 0, done.stdout + done.stderr
        if target == "up":
            self.url = self.make("url").strip()
        return done.stdout

    def refused(self, target: str, timeout: float = 900) -> str:
        """Run a make target that must fail; return its output."""
        done = _make(target, timeout, self.root)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def refuses(self, strategy: str, **block: object) -> str:
        """Return the output of `make up` with a strategy and block that fail before any pod rolls.

        Restore the stack file afterwards.
        """
        before, text = self.engine_pod()["metadata"]["uid"], self.stack_file.read_text()
        rest = re.sub(rf"(?m)^    (strategy|{strategy}): .*\n", "", text)
        lines = f"    strategy: {strategy}\n    {strategy}: {json.dumps(block)}\n"
        self.stack_file.write_text(rest.replace("  larder:cache:\n", f"  larder:cache:\n{lines}"))
        try:
            said = self.refused("up")
        finally:
            self.stack_file.write_text(text)
        assert self.engine_pod()["metadata"]["uid"] == before
        return said

    def swap(self, strategy: str) -> str:
        """Change the one line and deploy."""
        self.write_strategy(strategy)
        return self.make("up")

    def preview(self) -> list[dict[str, Any]]:
        """Return the changes that `make up` would make in the cluster."""
        done = subprocess.run(
            ["python3", "-m", "dev", "preview"], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return list(json.loads(done.stdout.splitlines()[-1]))

    def plan(self) -> list[Planned]:
        """Return what a preview without a cluster plans, for the stack file and the values of the last run."""
        overlay = read_overlay(str(STATE / "overlay.dev.json"))
        config = merged(stack_config("dev", self.stack_file.parent), overlay)
        encrypted = keys_with_ciphertext(config)
        settings = parse(config, stack="dev", catalog=read_catalog(ROOT), encrypted=encrypted)
        recording = record(config, stack="dev", secret_keys=encrypted)
        return document("dev", settings, make_plan(settings), recording, []).resources

    def engine_pod(self) -> dict[str, Any]:
        """Return the engine's pod that is not terminating."""
        pods = self.get("pods", "-l", "app.kubernetes.io/name=ollama")["items"]
        (pod,) = (p for p in pods if "deletionTimestamp" not in p["metadata"])
        return dict(pod)

    def weights_volume(self) -> str:
        """The volume from which the deployed engine reads its weights; its name says the strategy.

        Nothing where they lie in the engine's image.
        """
        (container,) = self.get("deployment/ollama")["spec"]["template"]["spec"]["containers"]
        names = [str(m["name"]) for m in container["volumeMounts"] if m["mountPath"] == "/weights/ollama"]
        return names[0] if names else ""

    @property
    def stack_file(self) -> Path:
        """Return a copy of the committed stack file, which tests may change."""
        return Path(os.environ["LARDER_STACKS"], "Pulumi.dev.yaml")

    def write_strategy(self, strategy: str) -> None:
        """Change the one line."""
        text, count = re.subn(r"(?m)^(    strategy: )\S+$", rf"\g<1>{strategy}", self.stack_file.read_text())
        assert count == 1, "the strategy is no longer one line of Pulumi.dev.yaml"
        self.stack_file.write_text(text)

    @property
    def cluster(self) -> Cluster:
        running = cluster.running()
        assert running is not None, "the embedded cluster does not run"
        return running

    def kubectl(self, *args: str) -> str:
        return self.cluster.kubectl(*args)

    def get(self, *args: str) -> Mapping[str, Any]:
        return dict(json.loads(self.kubectl("-n", "ai", "get", *args, "-o", "json")))

    def chat(self, **extra: object) -> urllib.request.Request:
        body = {"model": "tiny-random", "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}], **extra}
        return urllib.request.Request(
            f"{self.url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )

    def serves(self) -> str:
        """Wait for an answer: a rollout may look finished for a moment after its pod was deleted."""

        def ask() -> str:
            try:
                with urllib.request.urlopen(self.chat(), timeout=60) as answer:
                    return str(answer.read().decode())
            except OSError:
                return ""

        return self.until(ask, within=90)

    def apply(self, *manifests: Mapping[str, object]) -> None:
        file = HOST / "apply.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}))
        self.kubectl("apply", "-f", str(file))

    def shared_disk(self) -> None:
        """A volume that every node could mount if there were more: this node mounts no NFS (docs/testing.md)."""
        shared.make_folder("shared")
        volume = shared.volume(SHARED, "shared", size="1Gi", storage_class=SHARED)
        # The strategy's preview reads the class.
        provisioned = {"provisioner": "kubernetes.io/no-provisioner", "metadata": {"name": SHARED}}
        self.apply(volume, {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", **provisioned})

    def terminated(self, pod: str) -> str:
        """Return the termination message of a pod's first container; empty while it runs."""
        (status,) = self.get(f"pod/{pod}")["status"].get("containerStatuses", [{}])
        return str(status.get("state", {}).get("terminated", {}).get("message", ""))

    @staticmethod
    def until(check: Callable[[], str], *, within: float) -> str:
        """Wait until `check` returns a value, and return it."""
        deadline = time.monotonic() + within
        while not (found := check()):
            assert time.monotonic() < deadline, f"nothing within {within} s"
            time.sleep(0.5)
        return found

    def weights_bytes(self) -> int:
        """Return the bytes of the served models, from the plan in the cluster."""
        (plan,) = (c for c in self.get("configmaps")["items"] if c["metadata"]["name"].startswith("larder-weights-"))
        models = json.loads(plan["data"]["weights.json"])["models"]
        return sum(file["bytes"] for model in models for file in model["files"])

    def objects(self) -> set[str]:
        """Return the objects of the cluster with Pulumi's label, as `Kind name`."""
        kinds = "deployments,services,jobs,configmaps,networkpolicies,pvc,pv,pdb,serviceaccounts,roles,rolebindings"
        found = json.loads(self.kubectl("get", kinds, "-A", "-l", "app.kubernetes.io/managed-by=pulumi", "-o", "json"))
        return {f"{item['kind']} {item['metadata']['name']}" for item in found["items"]}

    def state(self) -> set[str]:
        """Return the objects of the cluster in Pulumi's state, as `Kind name`."""
        command = ["sh", "-c", f". {os.environ['LARDER_STATE']}/env && pulumi stack export"]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True).stdout
        found = [r for r in json.loads(told)["deployment"]["resources"] if r["type"].startswith("kubernetes:")]
        return {f"{r['type'].rpartition(':')[2]} {r['outputs']['metadata']['name']}" for r in found}

    def strays(self) -> set[str]:
        """Objects that are Pulumi's by their label and not in its state, or the other way round."""
        labelled, held = self.objects(), self.state()
        kinds = {one.split()[0] for one in labelled}
        return labelled ^ {one for one in held if one.split()[0] in kinds}

    @staticmethod
    def weights() -> dict[str, str]:
        """Every blob on the node's data disk by its path, with the sha256 that it has."""
        blobs = [path for path in DISK.rglob("blobs/sha256-*") if path.is_file()]
        return {str(path.relative_to(DISK)): hashlib.sha256(path.read_bytes()).hexdigest() for path in blobs}

    def bytes_sent_by_hub(self) -> int:
        with urllib.request.urlopen(f"{self.cluster.hub}/_stats", timeout=5) as answer:
            return sum(json.load(answer)["bytes"].values())


def _make(target: str, timeout: float, root: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", target]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="session")
def platform() -> Platform:
    if not os.environ.get("LARDER_E2E"):
        pytest.skip("needs the embedded cluster: run `make e2e`")
    stacks = Path(os.environ["LARDER_STATE"], "stacks")
    stacks.mkdir(parents=True, exist_ok=True)
    text = (ROOT / "Pulumi.dev.yaml").read_text()
    block = f"    shared-storage: {{storage-class: {SHARED}, size: 1Gi}}\n"
    (stacks / "Pulumi.dev.yaml").write_text(text.replace("    node-local:", f"{block}    node-local:", 1))
    os.environ["LARDER_STACKS"] = str(stacks)
    found = Platform()
    found.make("up", timeout=3000)
    return found
