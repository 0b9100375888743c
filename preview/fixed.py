"""Fields that Kubernetes lets nobody change, and for which Pulumi's kubernetes plugin does not replace the object."""

from collections.abc import Iterable, Mapping

from components.settings.quantities import size_bytes
from manifests.replaced import among, at

from .properties import Property

REFUSED: Mapping[str, tuple[str, ...]] = {
    "LocalModelCache": ("spec.sourceModelUri",),
    "PersistentVolume": ("spec.nodeAffinity", "spec.volumeMode"),
    "PersistentVolumeClaim": ("spec.dataSource", "spec.dataSourceRef", "spec.volumeMode"),
    "StorageClass": ("reclaimPolicy", "volumeBindingMode"),
}
"""Immutable fields outside of the plugin's table: the plugin asks for a change of the object, and the API server
refuses it, in the preview already."""
_CLAIMED = "spec.resources.requests.storage"


def refused(
    kind: str, paths: Iterable[str], before: Mapping[str, Property], after: Mapping[str, Property]
) -> list[str]:
    """Return the paths that the API server lets nobody change; a claim may grow and not shrink."""
    every = list(paths)
    fields = [*REFUSED.get(kind, ())]
    if kind == "PersistentVolumeClaim" and _shrinks(*(at(side, _CLAIMED) for side in (before, after))):
        fields.append(_CLAIMED)
    return among(every, fields, before, after)


def _shrinks(before: Property, after: Property) -> bool:
    try:
        return size_bytes(after) < size_bytes(before)
    except (ValueError, TypeError, AttributeError):
        return False
