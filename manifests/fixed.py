"""Fields that no update of an object changes, by kind; previews and the stand-in plugin share the table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .quantities import amount
from .reading import Property


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """Fixed fields of one kind. A replacement of the object changes the refused ones too."""

    replaced: tuple[str, ...] = ()
    """Fields for which Pulumi's kubernetes plugin replaces the object."""
    frozen: tuple[str, ...] = ()
    """Fields that `immutable: true` fixes: the plugin replaces the object if it is immutable after the change, and the
    API server refuses the change if it was immutable before."""
    refused: tuple[str, ...] = ()
    """Immutable fields that the plugin does not know as such: it requests the change of the object, and the API server
    refuses it, most often in the preview already. It refuses the removal of some in `up` alone."""
    refused_if_smaller: tuple[str, ...] = ()
    """Quantities that may grow; the API server refuses to shrink them."""


NAMES = ("metadata.name", "metadata.namespace")
"""Fields whose change replaces an object of any kind."""

FIXED: Mapping[str, Fixed] = {
    "ConfigMap": Fixed(frozen=("binaryData", "data")),
    "Deployment": Fixed(replaced=("spec.selector",)),
    "Job": Fixed(
        replaced=("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
        refused=("spec.completionMode", "spec.podFailurePolicy"),
    ),
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
    "Secret": Fixed(replaced=("type",), frozen=("data", "stringData")),
    "Service": Fixed(replaced=("spec.clusterIP",)),
    "StorageClass": Fixed(
        replaced=("parameters", "provisioner"),
        refused=("reclaimPolicy", "volumeBindingMode"),
    ),
}
"""The replaced fields are the plugin's own table (provider/pkg/provider/diff.go of pulumi-kubernetes 4.32), for the
kinds that the program declares. The program's provider changes ConfigMaps and Secrets in place unless they are
immutable."""


def replacing(kind: str, after: Mapping[str, Property]) -> tuple[str, ...]:
    """Return the fields whose change replaces an object of the kind; `after` are its inputs after the change."""
    fixed = FIXED.get(kind, Fixed())
    return (*NAMES, *fixed.replaced, *(fixed.frozen if after.get("immutable") is True else ()))


def refusing(kind: str, before: Mapping[str, Property], after: Mapping[str, Property]) -> tuple[str, ...]:
    """Return the fields whose change the API server refuses, unless another one replaces the object."""
    fixed = FIXED.get(kind, Fixed())
    smaller = [field for field in fixed.refused_if_smaller if _shrinks(at(before, field), at(after, field))]
    frozen = ("immutable", *fixed.frozen) if fixed.frozen and before.get("immutable") is True else ()
    return (*fixed.refused, *smaller, *frozen)


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


def _shrinks(before: Property, after: Property) -> bool:
    one, other = amount(before), amount(after)
    return one is not None and other is not None and other < one


def _touches(path: str, field: str, before: Property, after: Property) -> bool:
    if path == field or path.startswith((f"{field}.", f"{field}[")):
        return True
    return field.startswith(f"{path}.") and any(at(side, field) is not None for side in (before, after))
