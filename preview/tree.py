"""The resource tree of a recorded program, each line with its purpose."""

from collections import defaultdict
from collections.abc import Iterator

from components.component import Component
from components.manifest import DESCRIPTION
from components.settings.clusters import clouds

from .objects import OTHERS, is_manifest, kind, phase
from .recorder import STACK, Recording, Registered

PARTS = ("node-pools", "storage", "weights", "caching", "serving", "manager")
ELSEWHERE = {
    "NodePatch": "labels and taints of an existing node",
    "Image": "the engine's image with the weights inside, built and pushed by `up`",
    "docker": "the provider that asks registries for the digests of tags",
}
"""Purposes of resources outside the cluster, by kind; a cloud's class describes its machines."""
WIDTH = 52
"""Width of the column of names, tree included."""


def tree(recording: Recording) -> list[str]:
    """Return the lines, parents before their children."""
    children: dict[str, list[Registered]] = defaultdict(list)
    for resource in recording.resources:
        children[resource.parent].append(resource)
    (root,) = (resource for resource in recording.resources if resource.type == STACK)
    lines: list[str] = []
    for resource in sorted(children[root.urn], key=_order):
        lines += [_line("", resource), *_below(resource.urn, children, "")]
    return lines


def _below(parent: str, children: dict[str, list[Registered]], indent: str) -> Iterator[str]:
    below = sorted(children[parent], key=_order)
    for resource in below:
        branch, deeper = ("└─ ", "   ") if resource is below[-1] else ("├─ ", "│  ")
        yield _line(indent + branch, resource)
        yield from _below(resource.urn, children, indent + deeper)


def _line(indent: str, resource: Registered) -> str:
    kept = "  [kept by destroy]" if resource.protect else ""
    return f"{indent + _title(resource):<{WIDTH}} {purpose(resource)}{kept}"


def _order(resource: Registered) -> tuple[int, int, str, str]:
    # Objects in the order of their creation, then components: data before its users.
    module = resource.type.split(":")[1]
    part = PARTS.index(module) if module in PARTS else len(PARTS)
    return (phase(resource) if is_manifest(resource) else OTHERS + 1, part, resource.type, resource.name)


def _title(resource: Registered) -> str:
    name = resource.inputs["metadata"]["name"] if is_manifest(resource) else resource.name
    return f"{kind(resource)} {name}"


def purpose(resource: Registered) -> str:
    """Return the purpose of a resource: its description, or the first line of its component's docstring."""
    if is_manifest(resource):
        return str(resource.inputs["metadata"]["annotations"][DESCRIPTION])
    if resource.custom and (text := ELSEWHERE.get(kind(resource))):
        return text
    if resource.custom and (pool := _machines().get((resource.type.partition(":")[0], kind(resource)))):
        return f"the machines, as {pool}"
    if resource.type.startswith("pulumi:providers:"):
        place = _places()[kind(resource)]
        return f"the provider for {place} {resource.inputs.get(place)}"
    return _docstrings()[resource.type]


def _machines() -> dict[tuple[str, str], str]:
    """Return the cloud's word for a pool of machines, by package and kind of the resource."""
    return {(cloud.provider.package, cloud.resource): cloud.pool for cloud in clouds().values()}


def _places() -> dict[str, str]:
    """Return the input that identifies the target of a provider, by package."""
    return {"kubernetes": "context", **{cloud.provider.package: cloud.provider.place for cloud in clouds().values()}}


def _docstrings() -> dict[str, str]:
    return {
        c.TYPE: (c.__doc__ or "").partition("\n")[0].rstrip(".") for c in _subclasses(Component) if "TYPE" in vars(c)
    }


def _subclasses(of: type[Component]) -> Iterator[type[Component]]:
    for subclass in of.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
