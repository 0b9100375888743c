"""Verdicts on objects: ready, not yet, or failed, as functions of what the API server shows; no I/O here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from testbed.plugin.annotations import asks, wait_for
from testbed.plugin.values import Manifest


class State(Enum):
    """Ready and Failed end a wait, Waiting goes on until its deadline."""

    READY = "ready"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True)
class Verdict:
    """The result of one look at an object, in words for the progress line."""

    state: State
    reason: str = ""


@dataclass(frozen=True)
class Surroundings:
    """Facts beside the object: the claim's binding mode, the Service's endpoints, seconds waited."""

    binding_mode: str = ""
    endpoints: list[Manifest] = field(default_factory=list)
    waited: float = 0.0


READY: Final = Verdict(State.READY)
# A Service whose selector finds nobody counts as ready after this long: it may be declared before its pods.
SETTLE: Final = 10.0
DEFAULT_TIMEOUT: Final = 600.0
STORAGE_TIMEOUT: Final = 300.0


def _waiting(reason: str) -> Verdict:
    return Verdict(State.WAITING, reason)


def default_timeout(kind: str) -> float:
    """Return the seconds that the official plugin grants when nobody says otherwise."""
    return STORAGE_TIMEOUT if kind.startswith("PersistentVolume") else DEFAULT_TIMEOUT


def verdict(inputs: Manifest, live: Manifest, around: Surroundings) -> Verdict:
    """Return the verdict on a live object; annotations (skipAwait, waitFor) replace the rule of its kind."""
    if asks(inputs, "skipAwait"):
        return READY
    if wanted := wait_for(inputs):
        return READY if wanted.met_by(live) else _waiting(f"waiting for {wanted.expression}")
    rule = _RULES.get((live["apiVersion"], live["kind"]))
    return rule(live, around) if rule else READY


def has_rule(live: Manifest) -> bool:
    """Tell whether a refresh can find objects of this kind not ready."""
    return (live["apiVersion"], live["kind"]) in _RULES


def _condition(live: Manifest, name: str) -> Manifest:
    conditions = live.get("status", {}).get("conditions") or []
    return next((entry for entry in conditions if entry.get("type") == name), {})


def _deployment(live: Manifest, _: Surroundings) -> Verdict:
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    progressing = _condition(live, "Progressing")
    stuck = (
        f": [{progressing.get('reason')}] {progressing.get('message')}" if progressing.get("status") == "False" else ""
    )
    if status.get("observedGeneration", 0) < live["metadata"].get("generation", 1):
        return _waiting("waiting for the Deployment controller")
    if updated < wanted:
        return _waiting(f"{updated} of {wanted} pods are of the new version{stuck}")
    if total > updated:
        return _waiting(f"{total - updated} pods of the old version are still there{stuck}")
    if (available := status.get("availableReplicas", 0)) < wanted:
        return _waiting(f"{available} of {wanted} pods are available{stuck}")
    return READY


# The official plugin knows no other (checker/job/check.go): a Job that fails by its podFailurePolicy is waited for.
_JOB_FAILED: Final = ("BackoffLimitExceeded", "DeadlineExceeded")


def _job(live: Manifest, _: Surroundings) -> Verdict:
    failed = _condition(live, "Failed")
    if failed.get("status") == "True" and failed.get("reason") in _JOB_FAILED:
        return Verdict(State.FAILED, f"[{failed['reason']}] {failed.get('message', '')}".rstrip())
    if _condition(live, "Complete").get("status") == "True":
        return READY
    status = live.get("status", {})
    counts = ", ".join(f"{name} {status.get(name, 0)}" for name in ("active", "succeeded", "failed"))
    return _waiting(f"waiting for the Job to succeed ({counts})")


def _claim(live: Manifest, around: Surroundings) -> Verdict:
    phase = live.get("status", {}).get("phase", "Pending")
    # Such a claim binds when its first pod is scheduled, which may well wait for this very claim.
    if phase == "Bound" or (phase == "Pending" and around.binding_mode == "WaitForFirstConsumer"):
        return READY
    return _waiting(f"claim is {phase}")


def _volume(live: Manifest, _: Surroundings) -> Verdict:
    phase = live.get("status", {}).get("phase", "Pending")
    if phase in ("Available", "Bound"):
        return READY
    claim = live["spec"].get("claimRef") or {}
    hint = f"; its claimRef still names {claim.get('namespace')}/{claim.get('name')}" if phase == "Released" else ""
    return _waiting(f"volume is {phase}{hint}")


def _service(live: Manifest, around: Surroundings) -> Verdict:
    spec = live["spec"]
    if spec.get("type") == "LoadBalancer" and not live.get("status", {}).get("loadBalancer", {}).get("ingress"):
        return _waiting("waiting for an IP address of the load balancer")
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return READY
    endpoints = [endpoint for piece in around.endpoints for endpoint in piece.get("endpoints") or []]
    pending = [one for one in endpoints if one.get("conditions", {}).get("ready") is False]
    if pending:
        return _waiting(f"{len(pending)} of {len(endpoints)} endpoints are not ready")
    if not endpoints and around.waited < SETTLE:
        return _waiting("waiting for pods that the selector matches")
    return READY


_RULES: Final[dict[tuple[str, str], Callable[[Manifest, Surroundings], Verdict]]] = {
    ("apps/v1", "Deployment"): _deployment,
    ("batch/v1", "Job"): _job,
    ("v1", "PersistentVolumeClaim"): _claim,
    ("v1", "PersistentVolume"): _volume,
    ("v1", "Service"): _service,
}


def pod_warnings(pod: Manifest) -> Iterator[str]:
    """Tell what the official plugin shows of a pod (checker/pod/check.go): its first condition that is not met.

    That is nothing of a pod that no node takes, of events, and of init containers.
    """
    status, meta = pod.get("status", {}), pod["metadata"]
    if _condition(pod, "PodScheduled").get("status") != "True":
        return
    for name in ("Initialized", "Ready"):
        condition = _condition(pod, name)
        if condition.get("status") == "True" or (name == "Ready" and status.get("phase") == "Succeeded"):
            continue
        words = "\n".join(line for one in status.get("containerStatuses") or [] for line in _container_words(one))
        told = condition.get("message", "") if condition.get("reason") else ""
        if condition and (words or condition.get("message")):
            yield f"[Pod {'/'.join(filter(None, (meta.get('namespace'), meta['name'])))}]: {told}{words}"
        return


def _container_words(container: dict[str, Any]) -> Iterator[str]:
    if container.get("ready"):
        return
    state = container.get("state") or {}
    if (waiting := state.get("waiting")) and waiting.get("reason") != "ContainerCreating":
        yield f"[{waiting.get('reason', '')}] {waiting.get('message', '')}"
    if (ended := state.get("terminated")) and ended.get("reason"):
        said = ended.get("message")
        yield (
            f"[{ended['reason']}] {said}"
            if said
            else f'container "{container["name"]}" completed with exit code {ended.get("exitCode", 0)}'
        )
    if before := (container.get("lastState") or {}).get("terminated"):
        yield (
            f'container "{container["name"]}" terminated at {before.get("finishedAt")} '
            f"({before.get('reason', '')}: exit code {before.get('exitCode', 0)})"
        )
        if before.get("message"):
            yield before["message"]
