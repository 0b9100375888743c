"""Differences between the resources of two plans, as Pulumi would carry them out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from components.names import ROLE
from components.settings.quantities import size_bytes
from manifests.fixed import FIXED, Fixed, among, at, replacing
from manifests.reading import mapping

from .document import Planned
from .ignoring import with_ignored
from .properties import Property

_POD = {"Deployment": "spec.template", "InferenceService": "spec.predictor"}
"""Fields whose change rolls the pods."""
_SHOWN = 3
"""Number of paths that a reason names."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource that differs."""

    what: str
    """created, changed, replaced, deleted, or refused (`up` fails and leaves the resource as it is)."""
    urn: str
    """URN of the resource as it will be, or as it was if it is deleted."""
    kind: str
    name: str
    reason: str
    rolls: bool = False
    """True if pods give way to others."""
    paths: tuple[str, ...] = ()
    """Property paths that differ, with the names of list items where all have one."""
    replaced_for: tuple[str, ...] = ()
    """Those of them that replace the resource."""
    inputs: Mapping[str, Property] = field(default_factory=dict)
    """The inputs as they will be."""

    @property
    def title(self) -> str:
        """Return kind and name of the object."""
        return f"{self.kind} {self.name}"

    @property
    def role(self) -> str | None:
        """Return the role of a Job; None for other objects, and for Jobs of versions without roles."""
        return mapping(mapping(self.inputs.get("metadata")).get("labels")).get(ROLE) if self.kind == "Job" else None


def changes(before: Sequence[Planned], after: Sequence[Planned]) -> list[Change]:
    """Return every resource that differs, in the order of making."""
    old = {resource.urn: resource for resource in before}
    taken = {resource.urn for resource in after}
    pairs: list[tuple[Planned | None, Planned | None]] = []
    for new in after:
        # An old URN that the new plan gives to another resource belongs to that resource.
        known = (urn for urn in new.formerly() if urn in old and (urn == new.urn or urn not in taken))
        pairs.append((old.pop(next(known, ""), None), new))
    pairs += [(resource, None) for resource in old.values()]
    ordered = sorted(pairs, key=lambda pair: _order(pair[1] or pair[0]))
    differing = (_change(*pair) for pair in ordered)
    return [change for change in differing if change]


def _order(resource: Planned | None) -> tuple[int, str, str]:
    return (resource.phase, resource.kind, resource.name) if resource else (0, "", "")


def _change(before: Planned | None, after: Planned | None) -> Change | None:
    if after is None or before is None:
        one = after or before
        assert one is not None  # noqa: S101 (the caller has it from one of the two)
        if after is not None:
            return Change(
                what="created", urn=one.urn, kind=one.kind, name=one.name, reason=one.purpose, inputs=one.inputs
            )
        return Change(what="deleted", urn=one.urn, kind=one.kind, name=one.name, reason=_stays(one))
    inputs = with_ignored(before.inputs, after.inputs, after.ignored)
    paths = list(_differing("", before.inputs, inputs))
    if not paths:
        return None
    what, why, deciding = _outcome(before, after, inputs, paths)
    fields = [path.removeprefix("spec.template.spec.") for path in deciding]
    more = f" and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else ""
    renamed = f"was {before.name}; " if before.name != after.name else ""
    return Change(
        what=what,
        urn=after.urn,
        kind=after.kind,
        name=after.name,
        reason=renamed + ", ".join(fields[:_SHOWN]) + more + why,
        rolls=any(path.startswith(_POD.get(after.kind, "no such path")) for path in paths),
        paths=tuple(paths),
        replaced_for=tuple(deciding) if what == "replaced" else (),
        inputs=inputs,
    )


def _stays(resource: Planned) -> str:
    """Say why a resource that is no longer declared stays, if it does."""
    if resource.protect:
        return "protected: pulumi refuses until it is unprotected"
    return "stays in the cluster, and pulumi no longer manages it" if resource.retain_on_delete else ""


def _outcome(
    before: Planned, after: Planned, inputs: Mapping[str, Property], paths: list[str]
) -> tuple[str, str, list[str]]:
    """Return the kind of a change, its reason, and the paths that decide it."""
    anew = among(paths, replacing(after.kind, before.inputs), before.inputs, inputs)
    # The engine checks both sides, and replaces the resource if either leaves it unprotected (step_generator.go).
    if anew and before.protect and after.protect:
        return "refused", ": protected, so pulumi does not replace it until `pulumi state unprotect`", anew
    if anew:
        return "replaced", "; the old one goes first" if after.delete_before_replace else "", anew
    if fixed := _refused(after.kind, paths, before.inputs, inputs):
        return "refused", ": cannot be changed: the API server refuses it. Keep the value", fixed
    return "changed", "", paths


def _refused(
    kind: str, paths: Iterable[str], before: Mapping[str, Property], after: Mapping[str, Property]
) -> list[str]:
    """Return the paths whose change the API server refuses."""
    fixed = FIXED.get(kind, Fixed())
    smaller = [field for field in fixed.refused_if_smaller if _shrinks(at(before, field), at(after, field))]
    return among(paths, [*fixed.refused, *smaller], before, after)


def _shrinks(before: Property, after: Property) -> bool:
    try:
        return size_bytes(after) < size_bytes(before)
    except (ValueError, TypeError, AttributeError):
        return False


def _differing(path: str, before: Property, after: Property) -> Iterator[str]:
    """Yield the paths that differ, as deep as both sides have one shape; the list itself if named items move."""
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
