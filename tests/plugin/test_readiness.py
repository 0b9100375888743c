"""Readiness of objects, and the messages before it."""

import pytest

from testbed.plugin.readiness import (
    SETTLE,
    State,
    Surroundings,
    default_timeout,
    pod_warnings,
    verdict,
)


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


SEEN = {"observedGeneration": 2}
ROLLED_OUT = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
READY_ENDPOINT, PENDING_ENDPOINT = {"conditions": {"ready": True}}, {"conditions": {"ready": False}}


@pytest.mark.parametrize(
    ("object_", "around", "state", "words"),
    [
        (live("Deployment", "apps/v1", spec={"replicas": 2}), Surroundings(), State.WAITING, "controller"),
        (live("Deployment", "apps/v1", spec={"replicas": 2}, status=ROLLED_OUT), Surroundings(), State.READY, ""),
        (
            live("Deployment", "apps/v1", spec={"replicas": 2}, status=ROLLED_OUT | {"observedGeneration": 1}),
            Surroundings(),
            State.WAITING,
            "controller",
        ),
        (
            live("Deployment", "apps/v1", spec={"replicas": 2}, status=ROLLED_OUT | {"updatedReplicas": 1}),
            Surroundings(),
            State.WAITING,
            "1 of 2 pods are of the new version",
        ),
        (
            live("Deployment", "apps/v1", spec={"replicas": 2}, status=ROLLED_OUT | {"replicas": 3}),
            Surroundings(),
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
            Surroundings(),
            State.WAITING,
            "[ProgressDeadlineExceeded] too slow",
        ),
        (
            live("Deployment", "apps/v1", spec={"replicas": 0}, status={"observedGeneration": 2}),
            Surroundings(),
            State.READY,
            "",
        ),
        (live("Job", "batch/v1", status={"active": 1}), Surroundings(), State.WAITING, "active 1"),
        (live("Job", "batch/v1", status=condition("Complete")), Surroundings(), State.READY, ""),
        (
            live("Job", "batch/v1", status=condition("Failed", reason="BackoffLimitExceeded", message="gave up")),
            Surroundings(),
            State.FAILED,
            "[BackoffLimitExceeded] gave up",
        ),
        (
            live("Job", "batch/v1", status=condition("Failed", reason="DeadlineExceeded", message="too long")),
            Surroundings(),
            State.FAILED,
            "[DeadlineExceeded] too long",
        ),
        # The official plugin knows the two reasons above and no other: it waits on.
        *(
            (
                live("Job", "batch/v1", status={"failed": 1} | condition("Failed", reason=reason, message="m")),
                Surroundings(),
                State.WAITING,
                "failed 1",
            )
            for reason in ("PodFailurePolicy", "MaxFailedIndexesExceeded", "FailedIndexes", "")
        ),
        (live("PersistentVolumeClaim", status={"phase": "Pending"}), Surroundings(), State.WAITING, "Pending"),
        (live("PersistentVolumeClaim", status={"phase": "Bound"}), Surroundings(), State.READY, ""),
        (
            live("PersistentVolumeClaim", status={"phase": "Pending"}),
            Surroundings(binding_mode="WaitForFirstConsumer"),
            State.READY,
            "",
        ),
        (
            live("PersistentVolumeClaim", status={"phase": "Lost"}),
            Surroundings(binding_mode="WaitForFirstConsumer"),
            State.WAITING,
            "Lost",
        ),
        (live("PersistentVolume", status={"phase": "Available"}), Surroundings(), State.READY, ""),
        (
            live("PersistentVolume", spec={"claimRef": {"namespace": "ai", "name": "c"}}, status={"phase": "Released"}),
            Surroundings(),
            State.WAITING,
            "claimRef still names ai/c",
        ),
        (live("Service", spec={"selector": {"a": "b"}}), Surroundings(), State.WAITING, "selector"),
        (live("Service", spec={"selector": {"a": "b"}}), Surroundings(waited=SETTLE), State.READY, ""),
        (live("Service", spec={"selector": {"a": "b"}, "clusterIP": "None"}), Surroundings(), State.READY, ""),
        (live("Service"), Surroundings(), State.READY, ""),
        (
            live("Service", spec={"selector": {"a": "b"}}),
            Surroundings(
                endpoints=[{"endpoints": [{"conditions": {"ready": False}}, {"conditions": {"ready": True}}]}]
            ),
            State.WAITING,
            "1 of 2 endpoints",
        ),
        (
            live("Service", spec={"selector": {"a": "b"}}),
            Surroundings(endpoints=[{"endpoints": [READY_ENDPOINT]}]),
            State.READY,
            "",
        ),
        (live("Service", spec={"type": "LoadBalancer"}), Surroundings(waited=SETTLE), State.WAITING, "IP address"),
        (live("ConfigMap"), Surroundings(), State.READY, ""),
        (live("Whatever", "example.org/v1"), Surroundings(), State.READY, ""),
    ],
)
def test_each_kind_has_its_rule(object_, around, state, words):
    found = verdict({}, object_, around)
    assert found.state is state
    assert words in found.reason


def test_annotations_replace_the_rule_of_the_kind():
    pending = live("Job", "batch/v1", status={"active": 1})
    skipped = {"metadata": {"annotations": {"pulumi.com/skipAwait": "true"}}}
    awaited = {"metadata": {"annotations": {"pulumi.com/waitFor": "jsonpath={.status.active}=1"}}}
    never = {"metadata": {"annotations": {"pulumi.com/waitFor": "condition=Done"}}}
    assert verdict(skipped, pending, Surroundings()).state is State.READY
    assert verdict(awaited, pending, Surroundings()).state is State.READY
    assert verdict(never, pending, Surroundings()).reason == "waiting for condition=Done"


def test_storage_gets_five_minutes_and_the_rest_ten():
    assert default_timeout("PersistentVolumeClaim") == default_timeout("PersistentVolume") == 300
    assert default_timeout("Deployment") == 600


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
