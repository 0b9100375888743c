"""Verdicts on objects: ready, not yet, or failed, as functions of what the API server shows; no I/O here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from testbed.plugin import annotations
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


READY: Final = Verdict(State.READY)
DEFAULT_TIMEOUT: Final = 600.0
"""Seconds that the official plugin grants when nobody says otherwise."""


def _waiting(reason: str) -> Verdict:
    return Verdict(State.WAITING, reason)


def verdict(inputs: Manifest, live: Manifest) -> Verdict:
    """Return the verdict on a live object; annotations (skipAwait, waitFor) replace the rule of its kind."""
    if annotations.asks(inputs, "skipAwait"):
        return READY
    if wanted := annotations.stated(inputs).get("waitFor"):
        return READY if annotations.is_met(wanted, live) else _waiting(f"waiting for {wanted}")
    rule = _RULES.get((live["apiVersion"], live["kind"]))
    return rule(live) if rule else READY


def _condition(live: Manifest, name: str) -> Manifest:
    conditions = live.get("status", {}).get("conditions") or []
    return next((entry for entry in conditions if entry.get("type") == name), {})


def _deployment(live: Manifest) -> Verdict:
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


def _job(live: Manifest) -> Verdict:
    failed = _condition(live, "Failed")
    if failed.get("status") == "True" and failed.get("reason") in _JOB_FAILED:
        return Verdict(State.FAILED, f"[{failed['reason']}] {failed.get('message', '')}".rstrip())
    if _condition(live, "Complete").get("status") == "True":
        return READY
    status = live.get("status", {})
    counts = ", ".join(f"{name} {status.get(name, 0)}" for name in ("active", "succeeded", "failed"))
    return _waiting(f"waiting for the Job to succeed ({counts})")


def _volume(live: Manifest) -> Verdict:
    phase = live.get("status", {}).get("phase", "Pending")
    return READY if phase in ("Available", "Bound") else _waiting(f"volume is {phase}")


_RULES: Final[dict[tuple[str, str], Callable[[Manifest], Verdict]]] = {
    ("apps/v1", "Deployment"): _deployment,
    ("batch/v1", "Job"): _job,
    ("v1", "PersistentVolume"): _volume,
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
