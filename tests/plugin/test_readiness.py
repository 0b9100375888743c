"""Readiness of objects, and the messages before it."""

import pytest

from testbed.plugin.readiness import State, pod_warnings, verdict


def live(kind: str, version: str = "v1", *, spec: dict | None = None, status: dict | None = None) -> dict:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "n", "namespace": "ai", "generation": 2},
        "spec": spec or {},
        "status": status or {},
    }


def condition(name: str, status: str = "True", **rest: str) -> dict:
    return {"conditions": [{"type": name, "status": status, **rest}]}


ROLLED_OUT = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("object_", "state", "words"),
    [
        (live("Deployment", "apps/v1", spec={"replicas": 2}), State.WAITING, "controller"),
        (live("Deployment", "apps/v1", spec={"replicas": 2}, status=ROLLED_OUT), State.READY, ""),
        (
            live("Deployment", "apps/v1", spec={"replicas": 2}, status=ROLLED_OUT | {"observedGeneration": 1}),
            State.WAITING,
            "controller",
        ),
        (
            live("Deployment", "apps/v1", spec={"replicas": 2}, status=ROLLED_OUT | {"updatedReplicas": 1}),
            State.WAITING,
            "1 of 2 pods are of the new version",
        ),
        (
            live("Deployment", "apps/v1", spec={"replicas": 2}, status=ROLLED_OUT | {"replicas": 3}),
            State.WAITING,
            "1 pods of the old version",
        ),
        (
            live(
                "Deployment",
                "apps/v1",
                spec={"replicas": 2},
                status=ROLLED_OUT
                | {"availableReplicas": 0}
                | condition("Progressing", "False", reason="ProgressDeadlineExceeded", message="too slow"),
            ),
            State.WAITING,
            "[ProgressDeadlineExceeded] too slow",
        ),
        (
            live("Deployment", "apps/v1", spec={"replicas": 0}, status={"observedGeneration": 2}),
            State.READY,
            "",
        ),
        (live("Job", "batch/v1", status={"active": 1}), State.WAITING, "active 1"),
        (live("Job", "batch/v1", status=condition("Complete")), State.READY, ""),
        (
            live("Job", "batch/v1", status=condition("Failed", reason="BackoffLimitExceeded", message="gave up")),
            State.FAILED,
            "[BackoffLimitExceeded] gave up",
        ),
        (
            live("Job", "batch/v1", status=condition("Failed", reason="DeadlineExceeded", message="too long")),
            State.FAILED,
            "[DeadlineExceeded] too long",
        ),
        # The official plugin knows the two reasons above and no other: it waits on.
        *(
            (
                live("Job", "batch/v1", status={"failed": 1} | condition("Failed", reason=reason, message="m")),
                State.WAITING,
                "failed 1",
            )
            for reason in ("PodFailurePolicy", "MaxFailedIndexesExceeded", "FailedIndexes", "")
        ),
        (live("PersistentVolume", status={"phase": "Available"}), State.READY, ""),
        (live("PersistentVolume", status={"phase": "Bound"}), State.READY, ""),
        (live("PersistentVolume", status={"phase": "Released"}), State.WAITING, "volume is Released"),
        (live("ConfigMap"), State.READY, ""),
        (live("Whatever", "example.org/v1"), State.READY, ""),
    ],
)
def test_each_kind_has_its_rule(object_, state, words):
    found = verdict({}, object_)
    assert found.state is state
    assert words in found.reason


def test_annotations_replace_the_rule_of_the_kind():
    pending = live("Job", "batch/v1", status={"active": 1})
    skipped = {"metadata": {"annotations": {"pulumi.com/skipAwait": "true"}}}
    awaited = {"metadata": {"annotations": {"pulumi.com/waitFor": "jsonpath={.status.active}=1"}}}
    never = {"metadata": {"annotations": {"pulumi.com/waitFor": "condition=Done"}}}
    assert verdict(skipped, pending).state is State.READY
    assert verdict(awaited, pending).state is State.READY
    assert verdict(never, pending).reason == "waiting for condition=Done"


SCHEDULED = {"type": "PodScheduled", "status": "True"}
INITIALIZED = {"type": "Initialized", "status": "True"}
UNREADY = {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "unready: [fetch]"}
FAILED_READY = {"type": "Ready", "status": "False", "reason": "PodFailed"}
ENDED = {"exitCode": 3, "reason": "Error", "message": "hub answers 404"}
HEAD = "[Pod ai/n]: "


@pytest.mark.parametrize(
    ("conditions", "state", "words"),
    [
        ([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}], {}, []),
        ([SCHEDULED], {}, []),
        ([SCHEDULED, INITIALIZED, UNREADY], {"waiting": {"reason": "ContainerCreating"}}, [f"{HEAD}unready: [fetch]"]),
        (
            [SCHEDULED, INITIALIZED, UNREADY],
            {"waiting": {"reason": "ErrImagePull", "message": "not found"}},
            [f"{HEAD}unready: [fetch][ErrImagePull] not found"],
        ),
        ([SCHEDULED, INITIALIZED, FAILED_READY], {"terminated": ENDED}, [f"{HEAD}[Error] hub answers 404"]),
        (
            [SCHEDULED, INITIALIZED, FAILED_READY],
            {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            [f'{HEAD}container "fetch" completed with exit code 137'],
        ),
        ([SCHEDULED, INITIALIZED, {"type": "Ready", "status": "True"}], {}, []),
        ([SCHEDULED, INITIALIZED, UNREADY | {"type": "Initialized"}], {}, []),
    ],
)
def test_a_pod_says_what_the_official_plugin_shows_of_it(conditions: list, state: dict, words: list[str]):
    statuses = [{"name": "fetch", "ready": False, "state": state}, {"name": "fine", "ready": True}]
    pod = live("Pod", status={"conditions": conditions, "containerStatuses": statuses})
    assert list(pod_warnings(pod)) == words


def test_a_pod_that_succeeded_has_no_words():
    done = {"phase": "Succeeded", "conditions": [SCHEDULED, INITIALIZED, UNREADY]}
    assert list(pod_warnings(live("Pod", status=done))) == []


def test_an_init_container_is_named_and_not_heard():
    condition = {"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized", "message": "[fetch]"}
    status = {
        "conditions": [SCHEDULED, condition],
        "initContainerStatuses": [{"name": "fetch", "state": {"terminated": ENDED}}],
        "containerStatuses": [{"name": "engine", "state": {"waiting": {"reason": "PodInitializing"}}}],
    }
    assert list(pod_warnings(live("Pod", status=status))) == [f"{HEAD}[fetch][PodInitializing] "]


def test_what_a_container_said_before_it_was_started_again_is_heard():
    before = {"exitCode": 1, "reason": "Error", "message": "crashed", "finishedAt": "2026-01-01T00:00:00Z"}
    status = {
        "name": "engine",
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": before},
    }
    pod = live("Pod", status={"conditions": [SCHEDULED, INITIALIZED, UNREADY], "containerStatuses": [status]})
    (said,) = pod_warnings(pod)
    assert "[CrashLoopBackOff]" in said
    assert said.endswith("(Error: exit code 1)\ncrashed")
