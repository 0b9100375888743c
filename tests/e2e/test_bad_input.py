"""Messages to an operator if disks, claims, nodes and images differ from the stack file, on a real cluster.

The Jobs are the program's own, each alone in one stack of their own, with less time than it gives them.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.settings.sources import merged
from dev.paths import STATE
from testbed.cluster import cluster, shared
from testbed.cluster.layout import DISK, DISK_INSIDE, REGISTRY, REGISTRY_NAME
from tests.plugin.stack import Stack, declared
from tests.program.previews import Preview, preview_of
from tests.sidecar.weights.bases import REPOSITORY, Base

from .conftest import Platform
from .wrong import Case, cases

pytestmark = pytest.mark.timeout(900)

NAMESPACE = "bad-input"
DEADLINE = 45
"""Seconds in place of a Job's own two minutes and more: enough to pull an image, or to fail to."""
FOLDER = "bad-input"
"""Folders of the node's data disk for wrong mounts."""
GZIP = b"\x1f\x8b"


NAMES = sorted(cases("", ""))


@pytest.fixture(scope="module")
def images(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """An image for another platform alone, and one of whose layer the registry has lost the second half."""
    registry, work = platform.cluster.registry, tmp_path_factory.mktemp("images")
    other, cut = Base(platforms=("linux/arm64",)), Base(platforms=("linux/amd64",))
    digests = [base.push(registry, work / str(number)) for number, base in enumerate((other, cut))]
    (layer,) = (digest for digest, content in cut.blobs.items() if content.startswith(GZIP))
    (kept,) = REGISTRY.rglob(f"{layer.removeprefix('sha256:')}/data")
    kept.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
    return f"{REGISTRY_NAME}/{REPOSITORY}@{digests[0]}", f"{REGISTRY_NAME}/{REPOSITORY}@{digests[1]}"


@pytest.fixture(scope="module")
def disks(platform: Platform) -> Iterator[None]:
    """Claims by what is wrong with the folders behind them; mounts end with the cluster at the latest."""
    platform.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    inside = ["nsenter", f"--mount=/proc/{cluster.pid()}/ns/mnt"]
    ours = "size=8m,uid=1000,gid=1000,mode=0700"
    mounts = {"full": ours, "read-only": f"ro,{ours}", "not-ours": "size=32m,mode=0700"}
    for name, options in mounts.items():
        (DISK / FOLDER / name).mkdir(parents=True, exist_ok=True)
        place = str(DISK_INSIDE / FOLDER / name)
        subprocess.run([*inside, "mount", "-t", "tmpfs", "-o", options, "larder", place], check=True)
    names = (*mounts, "no-folder")
    for name in names:
        folder = shared.volume(f"bad-{name}", f"{FOLDER}/{name}", size="20Gi", storage_class="")
        platform.apply(folder, claim(name, "", f"bad-{name}"))
    platform.apply(claim("not-provisioned", "bad-input"), storage_class("bad-input"))
    yield
    platform.kubectl("delete", "namespace", NAMESPACE)
    platform.kubectl("delete", "pv", *(f"bad-{name}" for name in names))
    platform.kubectl("delete", "storageclass", "bad-input")
    for name in mounts:
        subprocess.run([*inside, "umount", str(DISK_INSIDE / FOLDER / name)], check=True)


def claim(name: str, of_class: str, volume_name: str | None = None) -> dict[str, Any]:
    spec = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": of_class,
        "resources": {"requests": {"storage": "20Gi"}},
        **({"volumeName": volume_name} if volume_name else {}),
    }
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def storage_class(name: str) -> dict[str, Any]:
    """A class that is there and provisions nothing."""
    of_storage = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
    return {**of_storage, "metadata": {"name": name}, "provisioner": "kubernetes.io/no-provisioner"}


@pytest.fixture(scope="module")
def told(
    platform: Platform, images: tuple[str, str], disks: None, cli: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, str]:
    """Return the message of one `pulumi up` about each Job, all tried at once."""
    wrong = jobs(*images)
    platform.apply(*(plan for _, plan in wrong.values()))
    stack = Stack.made(tmp_path_factory.mktemp("stack"), cli, platform.cluster.kubeconfig, NAMESPACE)
    stack.declare(*(declared(name, dict(job), timeout="90s") for name, (job, _) in wrong.items()))
    text = stack.refused("up", "--yes", "--skip-preview", "--parallel=16")
    (STATE.parent / "bad-input.txt").write_text(text)
    found = re.findall(r"(?ms)^  kubernetes:batch/v1:Job \(([^)]+)\):\n(.*?)(?=^  \S|^\S)", text)
    return dict(found)


def jobs(*images: str) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]:
    return {name: job_of(case) for name, case in cases(*images).items()}


def job_of(case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The program's Job with less time, and the ConfigMap with the plan that it reads."""
    deployed = json.loads((STATE / "overlay.dev.json").read_text())
    given = merged({"larder:cluster": {"namespace": NAMESPACE}, "larder:cache": case.cache}, case.overlay)
    seen: Preview = preview_of(case.strategy, merged(deployed, given))
    job, plan = seen.one("Job", case.job).inputs, seen.one("ConfigMap", "larder-weights-").inputs
    return {**job, "spec": {**job["spec"], "activeDeadlineSeconds": DEADLINE}}, plan


@pytest.mark.parametrize("wrong", NAMES)
def test_an_up_that_cannot_succeed_ends_with_the_reason(told: Mapping[str, str], wrong: str) -> None:
    says = cases("", "")[wrong].says
    assert [words for words in says if words not in told[wrong]] == [], told[wrong]


@pytest.mark.parametrize("wrong", [name for name, case in cases("", "").items() if case.events])
def test_events_have_the_words_that_the_plugin_does_not_show(
    platform: Platform, told: Mapping[str, str], images: tuple[str, str], wrong: str
) -> None:
    """As docs/when-it-fails.md has one read them; the pod is gone by then."""
    del told
    name = jobs(*images)[wrong][0]["metadata"]["name"]
    found = platform.kubectl("-n", NAMESPACE, "get", "events", "--field-selector=type=Warning", "-o", "json")
    events = [event for event in json.loads(found)["items"] if event["involvedObject"]["name"].startswith(f"{name}-")]
    text = "\n".join(f"{event['reason']} {event['message']}" for event in events)
    assert [words for words in cases("", "")[wrong].events if words not in text] == [], text


@pytest.mark.parametrize(("named", "what"), [("storage-class", "nowhere"), ("claim", "ai/nowhere")])
def test_storage_that_is_not_there_ends_the_preview(platform: Platform, named: str, what: str) -> None:
    platform.swap("none")
    message = platform.refuses("shared-storage", size="1Gi", **{named: "nowhere"})
    assert f"shared-storage.{named}" in message
    assert f"'{what}' does not exist" in message
