"""`make up` from the commit before, then from this one: nothing is replaced, no stream fails, data volumes stay."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.paths import STATE
from testbed.cluster.layout import DISK
from tests.rails.trees import checkout

from .conftest import ROOT, Platform
from .load import Load

pytestmark = pytest.mark.timeout(3600)

MARKER = "kept by hand"
STEADY_SECONDS = 10.0
"""Streams go on for so long before and after the upgrade."""
_BY_CONTENT = ("Job",)
"""Kinds whose names follow their content: a sidecar of another digest is another Job, by design."""


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """The platform as the commit before deploys it, on a cluster that nobody has deployed to.

    BEFORE names the commit; without it, the parent of this one.
    """
    if not os.environ.get("LARDER_E2E"):
        pytest.skip("needs the embedded cluster: run `make e2e`")
    assert not (STATE / "overlay.dev.json").exists(), "this suite comes before all that deploy: run it alone"
    stacks = STATE / "stacks-of-upgrade"
    stacks.mkdir(parents=True)
    monkeypatch.setenv("LARDER_STACKS", str(stacks))
    # A checkout borrows the packages of this one, those of the clouds among them, where its lock files are the same.
    subprocess.run(["make", "clouds"], cwd=ROOT, check=True)
    tree = checkout(os.environ.get("BEFORE") or "HEAD^")
    found = Platform(root=tree.root)
    found.stack_file.write_text((tree.root / "Pulumi.dev.yaml").read_text())
    found.write_strategy("node-local")
    # The cluster is this commit's, for both: only what is deployed to it changes.
    subprocess.run(["python3", "-m", "testbed", "cluster"], cwd=ROOT, check=True)
    found.make("up", timeout=3000)
    yield found
    if not os.environ.get("KEEP"):
        subprocess.run(["python3", "-m", "testbed", "drop"], cwd=ROOT, check=True)


def test_an_upgrade_replaces_nothing_loses_no_stream_and_leaves_data_volumes_alone(before: Platform) -> None:
    after = Platform(url=before.url)
    marker = DISK / "models" / MARKER
    marker.write_text(MARKER)
    blobs, objects = stored(), identities(before)
    assert blobs
    assert {"Deployment", "Service", "PersistentVolumeClaim", "PersistentVolume"} <= {one.split()[0] for one in objects}
    with Load(before.url, "tiny-random") as load:
        steady(load)
        announced = after.preview()
        after.make("up")
        steady(load)
    assert load.failures == []
    assert after.url == before.url
    assert [change for change in announced if change["op"] != "update" and change["kind"] not in _BY_CONTENT] == []
    now = identities(after)
    assert {name: uid for name, uid in objects.items() if now.get(name) != uid} == {}
    assert now.keys() - objects.keys() == set()
    assert after.strays() == set()
    assert stored() == blobs
    assert marker.read_text() == MARKER
    assert after.preview() == []


def steady(load: Load) -> None:
    """Wait until streams have gone on for a while and each client has had an answer."""
    (answers, _), until = load.so_far(), time.monotonic() + STEADY_SECONDS
    while time.monotonic() < until or load.so_far()[0] < answers + load.clients:
        assert time.monotonic() < until + 120, "clients get no answers"
        time.sleep(0.2)


def identities(platform: Platform) -> dict[str, str]:
    """Return the uid of every object of Pulumi's, by kind and name: what was replaced has another."""
    kinds = "deployments,services,configmaps,networkpolicies,pvc,pv,namespaces,storageclasses,serviceaccounts"
    told = platform.kubectl("get", kinds, "-A", "-l", "app.kubernetes.io/managed-by=pulumi", "-o", "json")
    items: list[dict[str, Any]] = json.loads(told)["items"]
    return {f"{item['kind']} {item['metadata']['name']}": item["metadata"]["uid"] for item in items}


def stored() -> dict[Path, tuple[int, int]]:
    """Return inode and time of every blob on the node's disk: what was fetched again has others."""
    found = {path: path.stat() for path in DISK.rglob("blobs/sha256-*") if path.is_file()}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in found.items()}
