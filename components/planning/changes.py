"""What differs between the resources of two plans, and what it means for each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .document import Planned
from .wire import Property

_NEVER_IN_PLACE: Mapping[str, tuple[str, ...]] = {
    "Job": ("spec",),
    "Deployment": ("spec.selector",),
    "PersistentVolume": ("spec.local", "spec.nfs", "spec.csi", "spec.nodeAffinity", "spec.volumeMode"),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.storageClassName", "spec.volumeMode", "spec.volumeName"),
    "StorageClass": ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
}
"""Fields that Kubernetes lets nobody change: the object is made anew. Names are so for every kind."""
_NAMES = ("metadata.name", "metadata.namespace")
_POD = {"Deployment": "spec.template", "InferenceService": "spec.predictor"}
"""What a change of means other pods."""
_SHOWN = 3
"""Paths that a reason names."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource that is not as it was."""

    what: str
    """created, changed, replaced or deleted."""
    title: str
    reason: str
    rolls: bool = False
    """Do pods give way to others?"""
    inputs: Mapping[str, Property] = field(default_factory=dict)
    """As they will be."""


def changes(before: Sequence[Planned], after: Sequence[Planned]) -> list[Change]:
    """Every resource that differs, in the order of making."""
    old, new = ({resource.urn: resource for resource in plan} for plan in (before, after))
    found = {**old, **new}.values()
    ordered = sorted(found, key=lambda resource: (resource.phase, resource.kind, resource.name))
    differing = (_change(old.get(resource.urn), new.get(resource.urn)) for resource in ordered)
    return [change for change in differing if change]


def _change(before: Planned | None, after: Planned | None) -> Change | None:
    if after is None or before is None:
        one = after or before
        assert one is not None  # noqa: S101 (the caller has it from one of the two)
        title = f"{one.kind} {one.name}"
        if after is not None:
            return Change(what="created", title=title, reason=one.purpose, inputs=one.inputs)
        kept = "protected: pulumi refuses until somebody unprotects it" if one.protect else ""
        return Change(what="deleted", title=title, reason=kept)
    paths = list(_differing("", before.inputs, after.inputs))
    if not paths:
        return None
    fixed = (*_NAMES, *_NEVER_IN_PLACE.get(after.kind, ()))
    anew = [
        path
        for path in paths
        if any(path == prefix or path.startswith((f"{prefix}.", f"{prefix}[")) for prefix in fixed)
    ]
    shown = [path.removeprefix("spec.template.spec.") for path in (anew or paths)]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    renamed = f"was {before.name}; " if before.name != after.name else ""
    return Change(
        what="replaced" if anew else "changed",
        title=f"{after.kind} {after.name}",
        reason=renamed + ", ".join(shown[:_SHOWN]) + more,
        rolls=any(path.startswith(_POD.get(after.kind, "no such path")) for path in paths),
        inputs=after.inputs,
    )


def _differing(path: str, before: Property, after: Property) -> Iterator[str]:
    """Paths of what differs, as deep as both sides have one shape; a list by itself where named items move."""
    if before == after:
        return
    one, other = _members(before), _members(after)
    if one is None or other is None or type(before) is not type(after):
        yield path
        return
    if isinstance(before, list) and [*one] != [*other]:
        yield path
    for key in dict.fromkeys([*one, *other]):
        if key in one and key in other:
            yield from _differing(f"{path}{key}".lstrip("."), one[key], other[key])
        elif isinstance(before, Mapping):
            yield f"{path}{key}".lstrip(".")


def _members(value: Property) -> dict[str, Property] | None:
    if isinstance(value, Mapping):
        return {f".{key}": item for key, item in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, Mapping) and "name" in item for item in value):
        named = {f"[{item['name']}]": item for item in value}
        return named if len(named) == len(value) else None
    return None
