"""Volumes, claims and Jobs as the storage of weights uses them: replaced, protected, retained and brought back."""

import time
from typing import Any

import pytest

from testbed.plugin.client import Client
from tests.plugin.pods import STARTED, SUCCEEDED, UNSCHEDULED, becoming, ended, until
from tests.plugin.stack import Stack, declared

pytestmark = pytest.mark.timeout(180)

KEPT: Any = {"protect": True, "retain_on_delete": True}


def storage_class(name: str) -> dict:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "labels": {"test": name}},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def volume(name: str, path: str = "/var/lib/larder/venus") -> dict:
    host = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["venus"]}]}]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {"test": name}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": name,
            "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": host}},
        },
    }


def claim(name: str) -> dict:
    """Return a claim on one volume, which nothing waits for, as the program's claims are.

    The official plugin waits for the phase Pending where the class waits for a consumer, but this claim may be bound
    before the first look.
    """
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "weights", "annotations": {"pulumi.com/skipAwait": "true"}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": name,
            "volumeName": name,
        },
    }


def job(name: str = "populate", image: str = "sidecar:1", **spec: object) -> dict:
    pod = UNSCHEDULED | {"restartPolicy": "Never", "containers": [{"name": "fetch", "image": image}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}} | spec,
    }


def store(stack: Stack, *, path: str = "/var/lib/larder/venus", image: str = "sidecar:1", **kept: Any) -> None:
    name = stack.namespace
    stack.declare(
        declared("class", storage_class(name)),
        declared("volume", volume(name, path), after=["class"], **kept),
        declared("claim", claim(name), after=["volume"], **kept),
        declared("populate", job(image=image), after=["claim"]),
    )


def test_storage_and_its_filling_come_up_in_order_and_stay(stack: Stack, api: Client):
    store(stack)
    with becoming(api, stack.namespace, SUCCEEDED):
        stack.up()
    stack.done("preview", "--expect-no-changes")
    stack.done("refresh", "--yes", "--skip-preview", "--expect-no-changes")


def test_a_job_whose_template_changes_is_deleted_first_and_made_again(stack: Stack, api: Client):
    path = f"/apis/batch/v1/namespaces/{stack.namespace}/jobs/populate"
    with becoming(api, stack.namespace, SUCCEEDED):
        store(stack)
        stack.up()
        first = api.get(path)["metadata"]["uid"]
        store(stack, image="sidecar:2")
        step = stack.steps()["populate"]
        assert step["op"] == "replace"
        assert step["replaceReasons"] == ["spec.template.spec.containers[0].image"]
        stack.up()
    replaced = api.get(path)
    assert replaced["metadata"]["uid"] != first
    assert replaced["spec"]["template"]["spec"]["containers"][0]["image"] == "sidecar:2"
    stack.done("preview", "--expect-no-changes")


def test_a_job_keeps_its_template_when_only_mutable_fields_change(stack: Stack, api: Client):
    with becoming(api, stack.namespace, SUCCEEDED):
        stack.declare(declared("populate", job()))
        stack.up()
        stack.declare(declared("populate", job(ttlSecondsAfterFinished=86400)))
        assert stack.steps()["populate"]["op"] == "update"
        stack.up()


def test_a_failed_job_fails_up_at_once_and_replace_unready_starts_it_again(stack: Stack, api: Client):
    marked = job()
    marked["metadata"]["annotations"] = {"pulumi.com/replaceUnready": "true"}
    stack.declare(declared("populate", marked, timeout="60s"))
    with becoming(api, stack.namespace, {"phase": "Failed"}):
        message = stack.refused("up", "--yes", "--skip-preview")
    assert "BackoffLimitExceeded" in message
    assert "populate" in stack.state()
    with becoming(api, stack.namespace, SUCCEEDED):
        stack.up()
    stack.done("preview", "--expect-no-changes")


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
UNREADY = {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "unready: [fetch]"}
NO_IMAGE = {"state": {"waiting": {"reason": "ErrImagePull", "message": "sidecar:1 not found"}}}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (
            {"conditions": [UNSCHEDULABLE]},
            [],
        ),  # the plugin is silent about it: docs/when-it-fails.md says where to look
        (
            {
                "conditions": [*STARTED, UNREADY],
                "containerStatuses": [
                    {"name": "fetch", "image": "i", "imageID": "", "ready": False, "restartCount": 0} | NO_IMAGE
                ],
            },
            ["unready: [fetch]", "[ErrImagePull] sidecar:1 not found"],
        ),
    ],
    ids=["no node takes it", "its image is not there"],
)
def test_a_job_whose_time_is_over_says_what_its_containers_waited_for(
    stack: Stack, api: Client, status: dict, told: list[str]
):
    """Kubernetes deletes that pod before it calls the Job failed."""
    stack.declare(declared("populate", job(activeDeadlineSeconds=6), timeout="60s"))
    with becoming(api, stack.namespace, {"phase": "Pending"} | status):
        message = stack.refused("up", "--yes", "--skip-preview")
    assert "[DeadlineExceeded]" in message
    assert [words for words in told if words not in message] == []
    assert "0/1 nodes" not in message
    assert api.get(f"/api/v1/namespaces/{stack.namespace}/pods")["items"] == []


DISRUPTED = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
LASTING = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}]


@pytest.mark.parametrize("code", [1, 3, 137])
def test_a_job_of_one_pod_fails_up_at_once_with_the_words_of_its_pod(stack: Stack, api: Client, code: int):
    """As for the program's Jobs, any end of the pod except a disruption fails the Job."""
    stack.declare(declared("populate", job(podFailurePolicy={"rules": DISRUPTED}), timeout="90s"))
    began = time.monotonic()
    with becoming(api, stack.namespace, ended("fetch", code, "the hub has no file tiny.gguf (404)")):
        message = stack.refused("up", "--yes", "--skip-preview")
    assert time.monotonic() - began < 90  # the timeout
    assert "[BackoffLimitExceeded]" in message
    assert "[Error] the hub has no file tiny.gguf (404)" in message


def test_a_disruption_costs_a_job_of_one_pod_nothing(stack: Stack, api: Client):
    disruption = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    drained = ended("fetch", 143, "stopped")
    drained["conditions"].append(disruption)
    stack.declare(declared("populate", job(podFailurePolicy={"rules": DISRUPTED}), timeout="90s"))
    with becoming(api, stack.namespace, drained, then=SUCCEEDED):
        stack.up()
    assert len(api.get(f"/api/v1/namespaces/{stack.namespace}/pods")["items"]) == 2


def test_a_job_that_fails_by_its_policy_is_waited_for_until_the_timeout(stack: Stack, api: Client):
    """Pulumi's plugin does not know that reason, so no Job of the program has such a rule."""
    stack.declare(declared("populate", job(podFailurePolicy={"rules": LASTING}), timeout="10s"))
    began = time.monotonic()
    with becoming(api, stack.namespace, ended("fetch", 3, "gone")):
        stack.refused("up", "--yes", "--skip-preview")
    assert time.monotonic() - began >= 10


def test_protected_storage_is_not_replaced(stack: Stack, api: Client):
    with becoming(api, stack.namespace, SUCCEEDED):
        store(stack, **KEPT)
        stack.up()
        store(stack, path="/elsewhere", **KEPT)
        message = stack.refused("up", "--yes", "--skip-preview")
    assert "protect" in message
    assert api.get(f"/api/v1/persistentvolumes/{stack.namespace}")["spec"]["local"]["path"] == "/var/lib/larder/venus"


def test_a_fixed_field_outside_the_table_is_refused_in_preview_and_up(stack: Stack):
    """The official plugin replaces by a table too, which lacks a volume's node."""
    name = stack.namespace
    stack.declare(declared("volume", volume(name)))
    stack.up()
    moved = volume(name)
    terms = moved["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    terms[0]["matchExpressions"][0]["values"] = ["mars"]
    stack.declare(declared("volume", moved))
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        assert "field is immutable" in stack.refused(*command)


def test_a_destroyed_stack_keeps_protected_storage_and_carries_on(stack: Stack, api: Client):
    name = stack.namespace
    with becoming(api, name, SUCCEEDED):
        store(stack, **KEPT)
        stack.up()
        before = api.get(f"/api/v1/persistentvolumes/{name}")["metadata"]["uid"]
        stack.done("destroy", "--yes", "--skip-preview", "--exclude-protected")
        # The class and the provider stay with what depends on them, as does the stack.
        assert {"volume", "claim"} <= set(stack.state())
        assert "populate" not in stack.state()
        until(lambda: not api.get(f"/apis/batch/v1/namespaces/{name}/jobs")["items"])
        stack.up()
    assert api.get(f"/api/v1/persistentvolumes/{name}")["metadata"]["uid"] == before
    stack.done("preview", "--expect-no-changes")


def test_storage_that_is_retained_stays_when_it_is_no_longer_declared(stack: Stack, api: Client):
    name = stack.namespace
    parts = [declared("class", storage_class(name))]
    stack.declare(*parts, declared("volume", volume(name), after=["class"], retain_on_delete=True))
    stack.up()
    stack.declare(*parts)
    stack.up()
    assert "volume" not in stack.state()
    assert api.get(f"/api/v1/persistentvolumes/{name}")["status"]["phase"] in ("Available", "Bound")
    stack.declare(*parts, declared("volume", volume(name), after=["class"]))
    message = stack.refused("up", "--yes", "--skip-preview")
    assert "already exists" in message


def test_a_deletion_that_is_held_says_by_what(stack: Stack, api: Client):
    name = stack.namespace
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["larder.test/hold"]}}
    stack.declare(declared("held", held, timeout="3s"))
    stack.up()
    message = stack.refused("destroy", "--yes", "--skip-preview")
    assert "larder.test/hold" in message
    path = f"/api/v1/namespaces/{name}/configmaps/held"
    api.json_patch(path, [{"op": "remove", "path": "/metadata/finalizers"}])
    stack.done("destroy", "--yes", "--skip-preview")
