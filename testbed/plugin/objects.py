"""Create, read, update and delete on one API server, in the order and with the errors of the official plugin."""

import threading
from typing import Any

from testbed.plugin import readiness
from testbed.plugin.client import FIELD_MANAGER, ApiError, Client
from testbed.plugin.discovery import Discovery, NoSuchKindError
from testbed.plugin.values import Manifest
from testbed.plugin.waiting import Progress, Waiting


class Objects:
    """Operations on the objects of one API server. Manifests are plain: no secrets, no unknowns."""

    def __init__(self, client: Client, cancelled: threading.Event) -> None:
        """`cancelled` ends every wait."""
        self._client, self._discovery = client, Discovery(client)
        self._waiting = Waiting(client, self._discovery, cancelled)

    def create(self, manifest: Manifest, *, dry_run: bool) -> Manifest:
        """POST the object; awaits nothing."""
        return self._client.create(self._discovery.collection(manifest), manifest, dry_run=dry_run)

    def update(self, manifest: Manifest, *, dry_run: bool) -> Manifest:
        """Server-side apply; awaits nothing.

        A dry run leaves the ownership of a freshly POSTed object as it is and so merges with it. That is why a volume
        that changes its source under the same name fails in preview and succeeds in up, as with the official plugin.
        """
        path = self._discovery.object(manifest)
        live = self._client.get(path)
        posted = any(_is_of_our_post(entry) for entry in live["metadata"].get("managedFields") or [])
        if posted and not dry_run:
            self._adopt(path, live)
        return self._client.apply(path, manifest, force=posted and dry_run, dry_run=dry_run)

    def patch(self, manifest: Manifest, manager: str, *, dry_run: bool) -> Manifest:
        """Apply as a manager of its own: who stops stating a field gives it up.

        An object that is not there is made, as by the official plugin: whoever patches reads it first.
        """
        path = self._discovery.object(manifest)
        return self._client.apply(path, manifest, force=False, dry_run=dry_run, manager=manager)

    def ready(self, inputs: Manifest, live: Manifest, timeout: float, progress: Progress) -> Manifest:
        """Return the object once it is ready; `timeout` 0 means the default."""
        return self._waiting.ready(inputs, live, timeout or readiness.DEFAULT_TIMEOUT, progress)

    def check_ready(self, inputs: Manifest, live: Manifest) -> None:
        """Raise NotReadyError for an object that a refresh finds broken."""
        if live["kind"] in ("Deployment", "Job"):
            self._waiting.check(inputs, live)

    def read(self, identity: Manifest) -> Manifest | None:
        """Return the live object, None when it or its kind is gone."""
        try:
            return self._client.get(self._discovery.object(identity))
        except NoSuchKindError:
            return None
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def delete(self, identity: Manifest, timeout: float, progress: Progress) -> None:
        """Delete and wait until it is gone; an object that is gone already is success."""
        live = self.read(identity)
        if live is None:
            return
        try:
            self._client.delete(self._discovery.object(live), "Foreground")
        except ApiError as error:
            if error.code == 404:
                return
            raise
        self._waiting.gone(live, timeout or readiness.DEFAULT_TIMEOUT, progress)

    def _adopt(self, path: str, live: Manifest) -> None:
        """Move what our POST owns to our apply manager, so that fields we stop stating disappear.

        Killed between this and the apply: the next update finds nothing to adopt and goes on.
        """
        metadata = live["metadata"]
        adopted = [
            entry | {"operation": "Apply"} if _is_of_our_post(entry) else entry for entry in metadata["managedFields"]
        ]
        operations = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
            {"op": "replace", "path": "/metadata/managedFields", "value": adopted},
        ]
        self._client.json_patch(path, operations)


def _is_of_our_post(entry: Manifest) -> bool:
    return (entry["manager"], entry["operation"]) == (FIELD_MANAGER, "Update") and not entry.get("subresource")


def outputs(live: Manifest) -> Manifest:
    """Return what Pulumi keeps and shows: the live object without the server's bookkeeping of field owners."""
    return live | {"metadata": {key: value for key, value in live["metadata"].items() if key != "managedFields"}}


def observed_inputs(live: Manifest, inputs: Manifest) -> Manifest:
    """Return the inputs as the cluster has them now: only what was stated, so that no server default is drift.

    Kubernetes never shows `stringData` again, so it stays as stated.
    """
    kept = {"stringData": inputs["stringData"]} if "stringData" in inputs else {}
    seen: Manifest = _pruned(live, inputs)
    return seen | kept


def _pruned(live: Any, shape: Any) -> Any:  # noqa: ANN401 - JSON
    match live, shape:
        case dict(), dict():
            return {key: _pruned(live[key], shape[key]) for key in shape if key in live}
        case list(), list():
            both = zip(live, shape, strict=False)
            return [*(_pruned(here, there) for here, there in both), *live[len(shape) :]]
        case _:
            return live
