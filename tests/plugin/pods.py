"""A substitute for the kubelet that sets the status of unscheduled pods through the API."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from testbed.plugin.client import ApiError, Client

# Pods with this scheduler stay where they are, also on a cluster that has nodes.
UNSCHEDULED = {"schedulerName": "nobody"}

SUCCEEDED: dict[str, Any] = {"phase": "Succeeded", "conditions": [{"type": "Ready", "status": "False"}]}
RUNNING: dict[str, Any] = {
    "phase": "Running",
    "conditions": [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady", "Initialized")],
}


STARTED: list[dict[str, Any]] = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Initialized")]


def ended(container: str, code: int, message: str) -> dict[str, Any]:
    """Return the status of a pod without retries whose container ended with this exit code and termination message."""
    over = {"exitCode": code, "reason": "Error", "message": message, "startedAt": None, "finishedAt": None}
    status = {"name": container, "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    return {
        "phase": "Failed",
        "conditions": [*STARTED, {"type": "Ready", "status": "False", "reason": "PodFailed"}],
        "containerStatuses": [status | {"state": {"terminated": over}}],
    }


def crashed(container: str, message: str) -> dict[str, Any]:
    """Return the status of a pod whose init container ended with this termination message."""
    ended = {"exitCode": 3, "reason": "Error", "message": message, "startedAt": None, "finishedAt": None}
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}
    status = {
        "name": container,
        "image": "i",
        "imageID": "",
        "ready": False,
        "restartCount": 1,
        "state": {"waiting": waiting},
        "lastState": {"terminated": ended},
    }
    message = f"containers with incomplete status: [{container}]"
    uninitialized = {"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized", "message": message}
    return {"phase": "Pending", "conditions": [STARTED[0], uninitialized], "initContainerStatuses": [status]}


@contextmanager
def becoming(
    api: Client, namespace: str, status: dict[str, Any], *, then: dict[str, Any] | None = None
) -> Iterator[None]:
    """Set this status on every new pod of the namespace during the block; `then` is for later pods."""
    over = threading.Event()

    def play() -> None:
        seen: set[str] = set()
        while not over.wait(0.1):
            for pod in api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]:
                if pod["metadata"]["uid"] in seen:
                    continue
                path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/status"
                played = then if then and seen else status
                try:
                    api.json_patch(path, [{"op": "replace", "path": "/status", "value": pod["status"] | played}])
                except ApiError as error:
                    if error.code not in (404, 409):
                        raise
                    continue
                seen.add(pod["metadata"]["uid"])

    player = threading.Thread(target=play)
    player.start()
    try:
        yield
    finally:
        over.set()
        player.join(timeout=10)


def until(condition: Any, seconds: float = 20.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        time.sleep(0.1)
