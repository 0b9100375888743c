"""Fields that Kubernetes lets nobody change, and what Pulumi's kubernetes plugin makes of a change."""

from collections.abc import Iterable, Mapping

from components.settings.quantities import size_bytes

from .wire import Property

NAMES = ("metadata.name", "metadata.namespace")
"""Another name is another object, of whatever kind."""

REPLACED: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("spec.selector",),
    "Job": ("spec",),  # the plugin knows a few fields of it, but each Job here has its spec in its name
    "PersistentVolume": ("spec.csi", "spec.hostPath", "spec.local", "spec.nfs"),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    "RoleBinding": ("roleRef",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP",),
    "StorageClass": ("parameters", "provisioner"),
}
"""Fields for which the plugin replaces the object, from its own table (provider/pkg/provider/diff.go of
pulumi-kubernetes 4.32)."""

_DATA = ("binaryData", "data", "stringData")
"""Fields of a ConfigMap or Secret with `immutable: true`."""

REFUSED: Mapping[str, tuple[str, ...]] = {
    "LocalModelCache": ("spec.sourceModelUri",),
    "PersistentVolume": ("spec.nodeAffinity", "spec.volumeMode"),
    "PersistentVolumeClaim": ("spec.dataSource", "spec.dataSourceRef", "spec.volumeMode"),
    "StorageClass": ("reclaimPolicy", "volumeBindingMode"),
}
"""Immutable fields outside of that table: the plugin asks for a change of the object, and the API server refuses it, in
the preview already."""
_CLAIMED = "spec.resources.requests.storage"


def replacing(kind: str, inputs: Mapping[str, Property]) -> tuple[str, ...]:
    """Return the fields whose change replaces an object of the kind."""
    data = _DATA if kind in ("ConfigMap", "Secret") and inputs.get("immutable") is True else ()
    return (*NAMES, *REPLACED.get(kind, ()), *data)


def among(
    paths: Iterable[str], fields: Iterable[str], before: Mapping[str, Property], after: Mapping[str, Property]
) -> list[str]:
    """Return the paths at or below one of the fields, and those of a whole branch that holds one on either side."""
    wanted = list(fields)
    return [path for path in paths if any(_touches(path, field, before, after) for field in wanted)]


def refused(
    kind: str, paths: Iterable[str], before: Mapping[str, Property], after: Mapping[str, Property]
) -> list[str]:
    """Return the paths that the API server lets nobody change; a claim may grow and not shrink."""
    every = list(paths)
    fields = [*REFUSED.get(kind, ())]
    if kind == "PersistentVolumeClaim" and _shrinks(*(_at(side, _CLAIMED) for side in (before, after))):
        fields.append(_CLAIMED)
    return among(every, fields, before, after)


def _touches(path: str, field: str, before: Property, after: Property) -> bool:
    if path == field or path.startswith((f"{field}.", f"{field}[")):
        return True
    return field.startswith(f"{path}.") and any(_at(side, field) is not None for side in (before, after))


def _at(value: Property, path: str) -> Property:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _shrinks(before: Property, after: Property) -> bool:
    try:
        return size_bytes(after) < size_bytes(before)
    except (ValueError, TypeError, AttributeError):
        return False
