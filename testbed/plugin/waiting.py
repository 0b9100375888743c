"""Waits with a deadline: polls an object until its verdict ends, and explains what stood in the way."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from testbed.plugin import readiness
from testbed.plugin.client import ApiError, Client, UnreachableError
from testbed.plugin.discovery import Discovery
from testbed.plugin.readiness import State
from testbed.plugin.values import Manifest

Progress = Callable[[str], None]

POLL: Final = 0.5  # seconds; one GET of a loopback API server costs a few milliseconds
REASONS: Final = 12  # more lines than that hide the first one


class NotReadyError(Exception):
    """The object is there but did not become ready; carries its last state and the reasons found."""

    def __init__(self, live: Manifest, message: str, reasons: Iterable[str] = ()) -> None:
        self.live, self.reasons = live, [message, *reasons]
        super().__init__("\n  ".join(self.reasons))


class Waiting:
    """Waits on one API server; `cancelled` ends all of them."""

    def __init__(self, client: Client, discovery: Discovery, cancelled: threading.Event) -> None:
        self._client, self._discovery, self._cancelled = client, discovery, cancelled

    def ready(self, inputs: Manifest, live: Manifest, seconds: float, progress: Progress) -> Manifest:
        """Return the object once it is ready. Raises NotReadyError when it failed, vanished or ran out of time."""
        start = time.monotonic()
        # As in the official plugin a Job's pods are heard all the time, those of others when the wait is over.
        # Kubernetes deletes the pods of a Job whose time is over.
        said: dict[str, None] = {}
        while True:
            waited = time.monotonic() - start
            if live["kind"] == "Job":
                said |= dict.fromkeys(self._warnings(live))
            current = readiness.verdict(inputs, live)
            if current.state is State.READY:
                return live
            if current.state is State.FAILED:
                raise self._not_ready(live, f"failed: {current.reason}", said)
            if waited >= seconds:
                raise self._not_ready(live, f"timed out after {seconds:.0f} s: {current.reason}", said)
            progress("; ".join([current.reason, *list(said)[-1:]]))
            self._pause(live, f"the wait was cancelled ({current.reason})")
            if (now := self._look(live)) is None:
                raise NotReadyError(live, f"{_title(live)} was deleted while waiting for it")
            live = now

    def check(self, inputs: Manifest, live: Manifest) -> None:
        """Raise NotReadyError unless the object is ready at this moment: what a refresh records."""
        current = readiness.verdict(inputs, live)
        if current.state is not State.READY:
            raise self._not_ready(live, f"is not ready: {current.reason}")

    def gone(self, live: Manifest, seconds: float, progress: Progress) -> None:
        """Return once the object is deleted or another took its name. Raises NotReadyError after the deadline."""
        start = time.monotonic()
        while (now := self._look(live)) and now["metadata"]["uid"] == live["metadata"]["uid"]:
            held = ", ".join(now["metadata"].get("finalizers") or []) or "no finalizer"
            if time.monotonic() - start >= seconds:
                raise self._not_ready(now, f"is still there {seconds:.0f} s after its deletion; held by {held}")
            progress(f"waiting for deletion (held by {held})")
            self._pause(now, "the wait for its deletion was cancelled")

    def _pause(self, live: Manifest, message: str) -> None:
        if self._cancelled.wait(POLL):
            raise NotReadyError(live, f"{_title(live)}: {message}")

    def _look(self, live: Manifest) -> Manifest | None:
        """Return the object as it is now, None if it is gone, and as it was if the API server cannot tell."""
        try:
            return self._client.get(self._discovery.object(live))
        except UnreachableError:
            return live  # an API server that restarts is no reason to give up before the deadline
        except ApiError as error:
            if error.code == 404:
                return None
            if error.code == 429 or error.code >= 500:
                return live
            raise

    def _not_ready(self, live: Manifest, message: str, said: Iterable[str] = ()) -> NotReadyError:
        """Add what its pods say now to what they `said` before."""
        reasons = list(dict.fromkeys([*said, *self._warnings(live)]))[:REASONS]
        return NotReadyError(live, f"{_title(live)} {message}", reasons)

    def _warnings(self, live: Manifest) -> list[str]:
        labels = ((live.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        if not labels:
            return []
        path = f"/api/v1/namespaces/{live['metadata']['namespace']}/pods"
        wanted = ",".join(f"{key}={value}" for key, value in labels.items())
        try:
            pods = self._client.get(path, labelSelector=wanted, limit="50")["items"]
        except (ApiError, UnreachableError):
            return []  # it only adds to an explanation: its own failure must not end the wait
        return [line for pod in pods for line in readiness.pod_warnings(pod)]


def _title(live: Manifest) -> str:
    namespace = live["metadata"].get("namespace")
    return f"{live['kind']} {namespace + '/' if namespace else ''}{live['metadata']['name']}"
