"""Waits with a deadline: polls an object until its verdict ends, and explains what stood in the way."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from testbed.plugin import readiness
from testbed.plugin.client import ApiError, Client, UnreachableError, segment
from testbed.plugin.discovery import Discovery
from testbed.plugin.readiness import State, Surroundings
from testbed.plugin.values import Manifest

POLL: Final = 0.5  # seconds; one GET of a loopback API server costs a few milliseconds
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
        """Return the object once it is ready. Raises NotReadyError when it failed, vanished or ran out of time."""
        start = time.monotonic()
        # As in the official plugin a Job's pods are heard all the time, those of others when the wait is over.
        # Kubernetes deletes the pods of a Job whose time is over.
        said: dict[str, None] = {}
        while True:
            waited = time.monotonic() - start
            if live["kind"] == "Job":
                said |= dict.fromkeys(self._warnings(live))
            current = readiness.verdict(inputs, live, self._surroundings(live, waited))
            if current.state is State.READY:
                return live
            if current.state is State.FAILED:
                raise self._not_ready(live, f"{_title(live)} failed: {current.reason}", said)
            if waited >= seconds:
                raise self._not_ready(live, f"{_title(live)} timed out after {seconds:.0f} s: {current.reason}", said)
            progress("; ".join([current.reason, *list(said)[-1:]]))
            if self._cancelled.wait(POLL):
                raise NotReadyError(live, f"{_title(live)}: the wait was cancelled ({current.reason})", [])
            live = self._look(live)

    def now(self, inputs: Manifest, live: Manifest) -> None:
        """Raise NotReadyError unless the object is ready at this moment: what a refresh records."""
        current = readiness.verdict(inputs, live, self._surroundings(live, readiness.SETTLE))
        if current.state is not State.READY:
            raise self._not_ready(live, f"{_title(live)} is not ready: {current.reason}", ())

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
                raise self._not_ready(current, message, ())
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

    def _not_ready(self, live: Manifest, message: str, said: Iterable[str]) -> NotReadyError:
        """Add what its pods say now to what they `said` before."""
        return NotReadyError(live, message, list(dict.fromkeys([*said, *self._warnings(live)]))[:REASONS])

    def _warnings(self, live: Manifest) -> list[str]:
        if (namespace := live["metadata"].get("namespace")) is None:
            return []
        return [line for pod in self._pods(live, namespace) for line in readiness.pod_warnings(pod)]

    def _pods(self, live: Manifest, namespace: str) -> list[Manifest]:
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
        """Return what only adds to a verdict or an explanation: its own failure must not end the wait."""
        try:
            return self._client.get(path, **query)
        except (ApiError, UnreachableError):
            return {}


def _title(live: Manifest) -> str:
    namespace = live["metadata"].get("namespace")
    return f"{live['kind']} {namespace + '/' if namespace else ''}{live['metadata']['name']}"
