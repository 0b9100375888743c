"""Immutable fields for which Pulumi's kubernetes plugin does not replace the object."""

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
"""Immutable fields outside the plugin's table: the plugin requests a change of the object, and the API server refuses
it, already in the preview."""
_CLAIMED = "spec.resources.requests.storage"


def refused(
    kind: str, paths: Iterable[str], before: Mapping[str, Property], after: Mapping[str, Property]
) -> list[str]:
    """Return the paths whose change the API server refuses; a claim may grow but not shrink."""
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
