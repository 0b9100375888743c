"""Waits with a deadline: polls an object until its verdict ends, and explains what stood in the way."""

import threading
import time
from collections.abc import Callable
from typing import Final

from testbed.plugin import readiness
from testbed.plugin.client import ApiError, Client, UnreachableError, segment
from testbed.plugin.discovery import Discovery
from testbed.plugin.readiness import State, Surroundings, Verdict
from testbed.plugin.values import Manifest

POLL: Final = 0.5  # seconds; one GET of a loopback API server costs a few milliseconds
LOOK: Final = 2.0  # seconds between two looks at the pods of what is waited for
REASONS: Final = 12  # more lines than that hide the first one


class NotReadyError(Exception):
    """The object is there but did not become ready; carries its last state and the reasons found."""

    def __init__(self, live: Manifest, message: str, reasons: list[str]) -> None:
        super().__init__("\n".join([message, *(f"  {reason}" for reason in reasons)]))
        self.live, self.reasons = live, [message, *reasons]


class Waiting:
    """Waits on one API server; `cancel` ends all of them."""

    def __init__(self, client: Client, discovery: Discovery, cancelled: threading.Event) -> None:
        self._client, self._discovery, self._cancelled = client, discovery, cancelled

    def ready(self, inputs: Manifest, live: Manifest, seconds: float, progress: Callable[[str], None]) -> Manifest:
        """The object once it is ready. Raises NotReadyError when it failed, vanished or ran out of time."""
        start, next_look, trouble = time.monotonic(), LOOK, ""
        # A Job whose time is over takes the pods with it that still ran, or could not: what they said is kept here.
        pods: dict[str, Manifest] = {}
        while True:
            waited = time.monotonic() - start
            current = readiness.verdict(inputs, live, self._surroundings(live, waited))
            if current.state is State.READY:
                return live
            if current.state is State.FAILED:
                raise self._not_ready(live, f"{_title(live)} failed: {current.reason}", pods)
            if waited >= seconds:
                raise self._not_ready(live, f"{_title(live)} timed out after {seconds:.0f} s: {current.reason}", pods)
            if waited >= next_look:
                trouble, next_look = self._trouble(live, pods), waited + LOOK
            progress("; ".join(filter(None, (current.reason, trouble))))
            if self._cancelled.wait(POLL):
                raise NotReadyError(live, f"{_title(live)}: the wait was cancelled ({current.reason})", [])
            live = self._look(live)

    def now(self, inputs: Manifest, live: Manifest) -> None:
        """Raise NotReadyError unless the object is ready at this moment: what a refresh records."""
        current = readiness.verdict(inputs, live, self._surroundings(live, readiness.SETTLE))
        if current.state is not State.READY:
            raise self._not_ready(live, f"{_title(live)} is not ready: {current.reason}", {})

    def gone(self, live: Manifest, seconds: float, progress: Callable[[str], None]) -> None:
        """Return once the object is deleted or another took its name. Raises NotReadyError after the deadline."""
        path, start = self._discovery.object(live), time.monotonic()
        while True:
            try:
                current = self._client.get(path)
            except UnreachableError:
                current = live
            except ApiError as error:
                if error.code == 404:
                    return
                raise
            if live["metadata"].get("uid") not in (None, current["metadata"].get("uid")):
                return
            held = ", ".join(current["metadata"].get("finalizers") or []) or "no finalizer"
            if time.monotonic() - start >= seconds:
                message = f"{_title(live)} is still there {seconds:.0f} s after its deletion; held by {held}"
                raise self._not_ready(current, message, {})
            progress(f"waiting for deletion (held by {held})")
            if self._cancelled.wait(POLL):
                raise NotReadyError(current, f"{_title(live)}: the wait for its deletion was cancelled", [])

    def _look(self, live: Manifest) -> Manifest:
        try:
            return self._client.get(self._discovery.object(live))
        except UnreachableError:
            return live  # an API server that restarts is no reason to give up before the deadline
        except ApiError as error:
            if error.code == 404:
                raise NotReadyError(live, f"{_title(live)} was deleted while waiting for it", []) from error
            if error.code == 429 or error.code >= 500:
                return live
            raise

    def _surroundings(self, live: Manifest, waited: float) -> Surroundings:
        spec, namespace = live.get("spec") or {}, live["metadata"].get("namespace")
        match live["kind"]:
            case "PersistentVolumeClaim" if name := spec.get("storageClassName"):
                found = self._optional(f"/apis/storage.k8s.io/v1/storageclasses/{segment(name)}")
                return Surroundings(binding_mode=found.get("volumeBindingMode", ""), waited=waited)
            case "Service" if live["apiVersion"] == "v1":
                selector = f"kubernetes.io/service-name={live['metadata']['name']}"
                found = self._optional(
                    f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", labelSelector=selector
                )
                return Surroundings(endpoints=found.get("items", []), waited=waited)
            case _:
                return Surroundings(waited=waited)

    def _not_ready(self, live: Manifest, message: str, pods: dict[str, Manifest]) -> NotReadyError:
        """`pods` as they were seen before, by name."""
        if live["metadata"].get("namespace") is None:
            return NotReadyError(live, message, [])
        self._see(live, pods)
        reasons = [line for pod in pods.values() for line in readiness.pod_troubles(pod)]
        said = "\n".join([message, *reasons])
        events = (event for event in self._events(live) if (event.get("message") or "").strip() not in said)
        reasons += readiness.event_troubles(events, {live["metadata"]["name"], *pods})
        return NotReadyError(live, message, list(dict.fromkeys(reasons))[:REASONS])

    def _trouble(self, live: Manifest, pods: dict[str, Manifest]) -> str:
        """What keeps a pod from running at this moment, empty where nothing is known to."""
        if live["metadata"].get("namespace") is None:
            return ""
        self._see(live, pods)
        for pod in pods.values():
            for line in readiness.pod_troubles(pod):
                return line
        return readiness.newest_trouble(self._events(live), set(pods)) if pods else ""

    def _see(self, live: Manifest, pods: dict[str, Manifest]) -> None:
        found = self._pods(live, live["metadata"]["namespace"])
        pods |= {pod["metadata"]["name"]: pod for pod in found if "deletionTimestamp" not in pod["metadata"]}

    def _events(self, live: Manifest) -> list[Manifest]:
        path = f"/api/v1/namespaces/{live['metadata']['namespace']}/events"
        found: list[Manifest] = self._optional(path, limit="500").get("items", [])
        return found

    def _pods(self, live: Manifest, namespace: str) -> list[Manifest]:
        if live["kind"] == "Pod":
            return [live]
        selector = (live.get("spec") or {}).get("selector")
        labels = selector.get("matchLabels") if isinstance(selector, dict) else None
        if not labels:
            return []
        wanted = ",".join(f"{key}={value}" for key, value in labels.items())
        found: list[Manifest] = self._optional(
            f"/api/v1/namespaces/{namespace}/pods", labelSelector=wanted, limit="50"
        ).get("items", [])
        return found

    def _optional(self, path: str, **query: str) -> Manifest:
        """What only adds to a verdict or an explanation must not end the wait by its own failure."""
        try:
            return self._client.get(path, **query)
        except (ApiError, UnreachableError):
            return {}


def _title(live: Manifest) -> str:
    namespace = live["metadata"].get("namespace")
    return f"{live['kind']} {namespace + '/' if namespace else ''}{live['metadata']['name']}"


__all__ = ["NotReadyError", "Verdict", "Waiting"]
