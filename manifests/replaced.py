"""Fields for which Pulumi's kubernetes plugin replaces an object; previews and the stand-in plugin share the table."""

from collections.abc import Iterable, Mapping

from .reading import Property

NAMES = ("metadata.name", "metadata.namespace")
"""Fields whose change replaces an object of any kind."""

REPLACED: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("spec.selector",),
    "Job": ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    "PersistentVolume": ("spec.csi", "spec.hostPath", "spec.local", "spec.nfs"),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    "RoleBinding": ("roleRef",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP",),
    "StorageClass": ("parameters", "provisioner"),
}
"""The plugin's own table (provider/pkg/provider/diff.go of pulumi-kubernetes 4.32), for the kinds that the program
declares. The plugin passes a change of any other immutable field to the API server, which refuses it."""

_DATA = ("binaryData", "data", "stringData")
"""Fields of a ConfigMap or Secret with `immutable: true`; the program's provider changes other data in place."""


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


def at(value: Property, path: str) -> Property:
    """Return the value at a path of keys with dots between, or None."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _touches(path: str, field: str, before: Property, after: Property) -> bool:
    if path == field or path.startswith((f"{field}.", f"{field}[")):
        return True
    return field.startswith(f"{path}.") and any(at(side, field) is not None for side in (before, after))
