"""Differences between the resources of two plans, as Pulumi would carry them out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from components.names import ROLE
from manifests.fixed import NAMES, among, at, refusing, replacing
from manifests.quantities import are_normalized, same_amount
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
    deletes_first: bool = False
    """True if a replacement deletes the old resource before it creates the new one."""
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
        what = "refused" if one.protect else "deleted"
        return Change(what=what, urn=one.urn, kind=one.kind, name=one.name, reason=_stays(one))
    inputs = with_ignored(before.inputs, after.inputs, after.ignored)
    paths = list(_differing("", before.inputs, inputs, amounts=are_normalized(inputs)))
    if not paths:
        return None
    anew = among(paths, replacing(after.kind, inputs), before.inputs, inputs)
    refused = among(paths, refusing(after.kind, before.inputs, inputs), before.inputs, inputs)
    first = after.delete_before_replace or _same_name(before, after)
    what, why, deciding = "changed", "", paths
    # The engine checks both sides, and replaces the resource if either leaves it unprotected (step_generator.go).
    if anew and before.protect and after.protect:
        what, why = "refused", ": protected, so pulumi does not replace it until `pulumi state unprotect`"
    elif anew and before.retain_on_delete and _same_name(before, after):
        what, why = "refused", ": retained, so the old one stays, and the new one cannot have its name. Keep the value"
    elif anew:
        what, why = "replaced", "; the old one goes first" if first else ""
    elif refused:
        what, why, deciding = "refused", ": cannot be changed: the API server refuses it. Keep the value", refused
    deciding = anew or deciding
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
        replaced_for=tuple(anew),
        deletes_first=what == "replaced" and first,
        inputs=inputs,
    )


def _same_name(before: Planned, after: Planned) -> bool:
    """Tell if both are objects of one name. The plugin deletes the old one first where the new one needs its name."""
    names = [[at(side.inputs, path) for path in NAMES] for side in (before, after)]
    return names[0] == names[1] and names[0][0] is not None


def _stays(resource: Planned) -> str:
    """Say why a resource that is no longer declared stays, if it does."""
    if resource.protect:
        return "protected: pulumi refuses until it is unprotected"
    return "stays in the cluster, and pulumi no longer manages it" if resource.retain_on_delete else ""


def _differing(path: str, before: Property, after: Property, *, amounts: bool) -> Iterator[str]:
    """Yield the paths that differ, as deep as both sides have one shape; the list itself if named items move.

    With `amounts`, another spelling of a quantity is no difference.
    """
    if before == after:
        return
    one, other = _members(before), _members(after)
    if one is None or other is None or type(before) is not type(after):
        if not (amounts and same_amount(path, before, after)):
            yield path
        return
    if isinstance(before, list) and [*one] != [*other]:
        yield path
    for key in dict.fromkeys([*one, *other]):
        if key in one and key in other:
            yield from _differing(f"{path}{key}".lstrip("."), one[key], other[key], amounts=amounts)
        elif isinstance(before, Mapping):
            yield f"{path}{key}".lstrip(".")


def _members(value: Property) -> dict[str, Property] | None:
    if isinstance(value, Mapping):
        return {f".{key}": item for key, item in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, Mapping) and "name" in item for item in value):
        named = {f"[{item['name']}]": item for item in value}
        return named if len(named) == len(value) else None
    return None
