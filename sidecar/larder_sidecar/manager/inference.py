"""The InferenceService: the objects to apply, and their states. It does no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..config.manager import DEPLOYMENT_MODE, GROUP, MODES, InferenceService
from .kube import Object

STOP = "serving.kserve.io/stop"
"""KServe's annotation: "true" removes the pods and keeps the object."""


class State(Enum):
    """State of the InferenceService."""

    WAITING = "waiting"
    READY = "ready"
    STOPPED = "stopped"
    FAILED = "failed"
    """Will not become ready without another change."""


@dataclass(frozen=True)
class Verdict:
    """A state and, unless it is the requested one, the reason."""

    state: State
    reason: str = ""


def path(settings: InferenceService) -> str:
    """Return its path on the API server."""
    return f"/apis/{GROUP}/namespaces/{settings.namespace}/inferenceservices/{settings.name}"


def with_stop_annotation(content: Object) -> dict[str, Any]:
    """Return the same object with KServe's annotation that stops it."""
    about = content["metadata"]
    return {**content, "metadata": {**about, "annotations": {**about["annotations"], STOP: "true"}}}


def is_stopped(content: Object) -> bool:
    """Tell if the object has the annotation that stops it."""
    return annotations(content).get(STOP) == "true"


def annotations(content: Object) -> Mapping[str, str]:
    """Return its annotations; empty if it has none."""
    return metadata(content).get("annotations") or {}


def with_deployment_mode(content: Object, observed: Object) -> Object:
    """Return the content with the deployment mode's name as in the observed object, if both mean the same."""
    known = (observed.get("status") or {}).get("deploymentMode")
    wanted = annotations(content).get(DEPLOYMENT_MODE)
    if not isinstance(known, str) or known == wanted or MODES.get(known, known) != MODES.get(str(wanted), wanted):
        return content
    about = metadata(content)
    return {**content, "metadata": {**about, "annotations": {**about["annotations"], DEPLOYMENT_MODE: known}}}


def metadata(content: Object) -> Mapping[str, Any]:
    """Return its metadata; empty if it has none."""
    return content.get("metadata") or {}


def deletion(observed: Object) -> str:
    """Return the reason why the object will not stay; '' if it is not being deleted."""
    since = metadata(observed).get("deletionTimestamp")
    return f"InferenceService {metadata(observed).get('name')} has been terminating since {since}" if since else ""


def judge(observed: Object, generation: int) -> Verdict:
    """Return the state of the change that made `generation`.

    Until the controller reports that generation, its conditions are those of the previous model.
    """
    if gone := deletion(observed):
        return Verdict(State.FAILED, gone)
    status = observed.get("status") or {}
    conditions = {c.get("type"): c for c in status.get("conditions") or []}
    if is_stopped(observed):
        # KServe 0.20 drops the observed generation of a stopped service.
        gone = conditions.get("Stopped", {}).get("status") == "True"
        return Verdict(State.STOPPED) if gone else Verdict(State.WAITING, "its pods have not ended yet")
    if (status.get("observedGeneration") or 0) < generation:
        return Verdict(State.WAITING, "KServe's controller has not processed it yet; check that it runs")
    model = status.get("modelStatus") or {}
    said = _message(model.get("lastFailureInfo") or {})
    if model.get("transitionStatus") == "InvalidSpec":
        return Verdict(State.FAILED, said or "KServe rejects its spec as invalid")
    ready = conditions.get("Ready", {})
    if ready.get("status") == "True" and conditions.get("Stopped", {}).get("status") != "True":
        return Verdict(State.READY)
    return Verdict(State.WAITING, said or _message(ready) or "it is not ready, and KServe does not say why")


def find_problem(pods: Sequence[Object], events: Sequence[Object]) -> str:
    """Return the problem of its newest pod, else the last warning about it; '' for none."""
    for pod in sorted(pods, key=lambda p: str(p["metadata"].get("creationTimestamp")), reverse=True):
        status = pod.get("status") or {}
        for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
            for state in (container.get("state") or {}, container.get("lastState") or {}):
                halted = state.get("waiting") or state.get("terminated") or {}
                if halted.get("reason") not in (None, "Completed", "PodInitializing", "ContainerCreating"):
                    return f"container {container['name']}: {_message(halted)}"
        for condition in status.get("conditions") or []:
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return _message(condition)
    warnings = [e for e in events if e.get("type") == "Warning"]
    last = max(warnings, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""), default={})
    return _message(last)


def _message(told: Mapping[str, Any]) -> str:
    """Return `Reason: message`, or the part that exists, in one line."""
    words = ": ".join(str(told[key]) for key in ("reason", "message") if told.get(key))
    return " ".join(words.split())[:500]
