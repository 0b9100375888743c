"""Fields that no update of an object changes, by kind; previews and the stand-in plugin share the table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .reading import Property


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """Fixed fields of one kind. A replacement of the object changes the refused ones too."""

    replaced: tuple[str, ...] = ()
    """Fields for which Pulumi's kubernetes plugin replaces the object."""
    replaced_if_immutable: tuple[str, ...] = ()
    """Further such fields of an object with `immutable: true`."""
    refused: tuple[str, ...] = ()
    """Immutable fields that the plugin does not know as such: it requests the change of the object, and the API server
    refuses it, already in the preview."""
    refused_if_smaller: tuple[str, ...] = ()
    """Quantities that may grow; the API server refuses to shrink them."""


NAMES = ("metadata.name", "metadata.namespace")
"""Fields whose change replaces an object of any kind."""

FIXED: Mapping[str, Fixed] = {
    "ConfigMap": Fixed(replaced_if_immutable=("binaryData", "data", "stringData")),
    "Deployment": Fixed(replaced=("spec.selector",)),
    "Job": Fixed(replaced=("spec.completions", "spec.parallelism", "spec.selector", "spec.template")),
    "LocalModelCache": Fixed(refused=("spec.sourceModelUri",)),
    "PersistentVolume": Fixed(
        replaced=("spec.csi", "spec.hostPath", "spec.local", "spec.nfs"),
        refused=("spec.nodeAffinity", "spec.volumeMode"),
    ),
    "PersistentVolumeClaim": Fixed(
        replaced=("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
        refused=("spec.dataSource", "spec.dataSourceRef", "spec.volumeMode"),
        refused_if_smaller=("spec.resources.requests.storage",),
    ),
    "RoleBinding": Fixed(replaced=("roleRef",)),
    "Secret": Fixed(replaced=("type",), replaced_if_immutable=("binaryData", "data", "stringData")),
    "Service": Fixed(replaced=("spec.clusterIP",)),
    "StorageClass": Fixed(
        replaced=("parameters", "provisioner"),
        refused=("reclaimPolicy", "volumeBindingMode"),
    ),
}
"""The replaced fields are the plugin's own table (provider/pkg/provider/diff.go of pulumi-kubernetes 4.32), for the
kinds that the program declares. The program's provider changes ConfigMaps and Secrets in place unless they are
immutable."""


def replacing(kind: str, inputs: Mapping[str, Property]) -> tuple[str, ...]:
    """Return the fields whose change replaces an object of the kind."""
    fixed = FIXED.get(kind, Fixed())
    data = fixed.replaced_if_immutable if inputs.get("immutable") is True else ()
    return (*NAMES, *fixed.replaced, *data)


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
