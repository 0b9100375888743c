"""Create, read, update and delete on one API server, in the order and with the errors of the official plugin."""

import base64
import time
from collections.abc import Callable
from typing import Any, Final

from testbed.plugin import annotations, diff, readiness
from testbed.plugin.client import FIELD_MANAGER, ApiError, Client
from testbed.plugin.discovery import Discovery, NoSuchKindError
from testbed.plugin.naming import identifier
from testbed.plugin.values import Manifest
from testbed.plugin.waiting import Waiting

Progress = Callable[[str], None]

# A namespace or CRD of the same `up` may need a moment to be seen.
RETRIES: Final = (1.0, 2.0, 4.0, 8.0)
_SERVER_OWNED: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
)
_LEFT_UNAWAITED: Final = frozenset({"Namespace", "Deployment", "Job"})


class AlreadyExistsError(Exception):
    """An object of that name exists already."""


class Objects:
    """Operations on the objects of one API server. Manifests are plain: no secrets, no unknowns."""

    def __init__(self, client: Client, discovery: Discovery, waiting: Waiting) -> None:
        self._client, self._discovery, self._waiting = client, discovery, waiting

    def known(self, manifest: Manifest) -> bool:
        """Tell whether the API server serves this kind now."""
        try:
            self._discovery.namespaced(manifest)
        except NoSuchKindError:
            return False
        return True

    def namespaced(self, manifest: Manifest) -> bool:
        """Tell whether the kind lives in namespaces; unknown kinds are taken to."""
        return not self.known(manifest) or self._discovery.namespaced(manifest)

    def create(self, manifest: Manifest, *, dry_run: bool, progress: Progress) -> Manifest:
        """POST the object. Raises AlreadyExistsError with the way to import it; awaits nothing."""
        for pause in (*RETRIES, None) if not dry_run else (None,):
            try:
                live = self._client.create(self._discovery.collection(manifest), manifest, dry_run=dry_run)
            except ApiError as error:
                if error.reason == "AlreadyExists":
                    raise AlreadyExistsError(_already_exists(manifest, error)) from error
                if error.code != 404 or pause is None:
                    raise
                cause: Exception = error
            except NoSuchKindError as error:
                if pause is None:
                    raise
                cause = error
            else:
                return live
            progress(f"creation will be tried again in {pause:.0f} s: {cause}")
            time.sleep(pause)
        raise AssertionError("unreachable: the last try returns or raises")

    def update(self, manifest: Manifest, *, dry_run: bool) -> Manifest:
        """Server-side apply; a conflict names the managers and the way out. Awaits nothing.

        A dry run leaves the ownership of a freshly POSTed object as it is and so merges with it. That is why a volume
        that changes its source under the same name fails in preview and succeeds in up, as with the official plugin.
        """
        path = self._discovery.object(manifest)
        live = self._client.get(path)
        foreign = _apply_entry(live) is None or bool(_entries_to_adopt(live))
        force = annotations.asks(manifest, "patchForce") or (dry_run and foreign)
        if not dry_run:
            self._adopt(path, live)
        try:
            return self._client.apply(path, manifest, force=force, dry_run=dry_run)
        except ApiError as error:
            if error.reason != "Conflict":
                raise
            advice = "give the field up, or set the annotation pulumi.com/patchForce to take it"
            raise ApiError(error.code, error.reason, f"{error}\nAnother manager owns it: {advice}.", {}) from error

    def patch(self, manifest: Manifest, manager: str, *, dry_run: bool) -> Manifest:
        """Apply as a manager of its own: who stops stating a field gives it up.

        An object that is not there is made, as by the official plugin: whoever patches reads it first.
        """
        path = self._discovery.object(manifest)
        force = annotations.asks(manifest, "patchForce")
        return self._client.apply(path, manifest, force=force, dry_run=dry_run, manager=manager)

    def give_up(self, manifest: Manifest, manager: str) -> None:
        """Undo a patch: fields without another manager disappear; an object that is gone is made again, empty.

        The official plugin (`ssa.Relinquish`) asks for no object either.
        """
        identity = {key: manifest[key] for key in ("apiVersion", "kind")}
        where = {key: manifest["metadata"][key] for key in ("name", "namespace") if key in manifest["metadata"]}
        self.patch({**identity, "metadata": where}, manager, dry_run=False)

    def ready(self, inputs: Manifest, live: Manifest, timeout: float, progress: Progress) -> Manifest:
        """Return the object once it is ready; `timeout` 0 means the default of its kind."""
        return self._waiting.ready(inputs, live, timeout or readiness.default_timeout(live["kind"]), progress)

    def check_ready(self, inputs: Manifest, live: Manifest) -> None:
        """Raise NotReadyError for an object that a refresh finds broken."""
        if readiness.has_rule(live) and not live["kind"].startswith("PersistentVolume"):
            self._waiting.now(inputs, live)

    def read(self, manifest: Manifest) -> Manifest | None:
        """Return the live object, None when it or its kind is gone."""
        try:
            return self._client.get(self._discovery.object(manifest))
        except NoSuchKindError:
            return None
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def delete(self, manifest: Manifest, inputs: Manifest, timeout: float, progress: Progress) -> None:
        """Delete and wait until it is gone; an object that is gone already is success."""
        live = self.read(manifest)
        if live is None:
            return
        try:
            self._client.delete(self._discovery.object(live), "Foreground")
        except ApiError as error:
            if error.code == 404:
                return
            raise
        if annotations.asks(inputs, "skipAwait") and live["kind"] in _LEFT_UNAWAITED:
            return
        self._waiting.gone(live, timeout or readiness.DEFAULT_TIMEOUT, progress)

    def _adopt(self, path: str, live: Manifest) -> None:
        """Move what our POST owns to our apply manager, so that fields we stop stating disappear.

        Killed between this and the apply: the next update finds nothing to adopt and goes on.
        """
        adopted = _entries_to_adopt(live)
        if not adopted:
            return
        entries = live["metadata"]["managedFields"]
        ours = _apply_entry(live) or {
            "manager": FIELD_MANAGER,
            "operation": "Apply",
            "apiVersion": live["apiVersion"],
            "fieldsType": "FieldsV1",
            "time": adopted[0].get("time"),
        }
        fields: Manifest = {}
        for entry in (ours, *adopted):
            fields = _merged(fields, entry.get("fieldsV1", {}))
        others = [entry for entry in entries if entry not in adopted and entry is not _apply_entry(live)]
        operations = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
            {"op": "replace", "path": "/metadata/managedFields", "value": [*others, ours | {"fieldsV1": fields}]},
        ]
        self._client.json_patch(path, operations)


def _entries_to_adopt(live: Manifest) -> list[Manifest]:
    return [
        entry
        for entry in live["metadata"].get("managedFields") or []
        if (entry["manager"], entry["operation"]) == (FIELD_MANAGER, "Update") and not entry.get("subresource")
    ]


def _apply_entry(live: Manifest) -> Manifest | None:
    entries: list[Manifest] = live["metadata"].get("managedFields") or []
    ours = (e for e in entries if (e["manager"], e["operation"]) == (FIELD_MANAGER, "Apply"))
    return next(ours, None)


def _merged(one: Manifest, other: Manifest) -> Manifest:
    shared = {key: _merged(one[key], other[key]) for key in one.keys() & other.keys()}
    return one | other | shared


def _already_exists(manifest: Manifest, error: ApiError) -> str:
    return (
        f"{error}\n"
        "The object is in the cluster and not in this stack. If it was renamed in the program only, give the resource "
        f"an alias. To keep it, run `pulumi import <type> <name> {identifier(manifest)}`. Otherwise delete it first."
    )


def outputs(live: Manifest) -> Manifest:
    """Return what Pulumi keeps and shows: the live object without the server's bookkeeping of field owners."""
    return live | {"metadata": {key: value for key, value in live["metadata"].items() if key != "managedFields"}}


def stated(manifest: Manifest) -> Manifest:
    """Return the object without status and what only the server writes: the inputs of an object that is read."""
    metadata = {key: value for key, value in (manifest.get("metadata") or {}).items() if key not in _SERVER_OWNED}
    return {key: value for key, value in manifest.items() if key != "status"} | {"metadata": metadata}


def observed_inputs(live: Manifest, inputs: Manifest) -> Manifest:
    """Return the inputs as the cluster has them now: only what was stated, in the words it was stated in.

    So a refresh shows drift but no server default and no respelled quantity.
    """
    seen: Manifest = _pruned((), live, inputs)
    if inputs.get("kind") == "Secret" and isinstance(inputs.get("stringData"), dict):
        data = live.get("data") or {}
        texts = {
            key: base64.b64decode(data[key]).decode(errors="replace") for key in inputs["stringData"] if key in data
        }
        seen["stringData"] = texts
    return seen


def _pruned(path: diff.Path, live: Any, shape: Any) -> Any:  # noqa: ANN401 - JSON
    match live, shape:
        case dict(), dict():
            return {key: _pruned((*path, key), live[key], shape[key]) for key in shape if key in live}
        case list(), list():
            both = zip(live, shape, strict=False)
            return [*(_pruned((*path, 0), here, there) for here, there in both), *live[len(shape) :]]
        case _:
            return shape if diff.same(path, live, shape) else live
