"""Effects of a swap of the strategy on a running stack, by the resources of two plans."""

from collections.abc import Iterator, Sequence

from components.names import FRONT, HOLD_SECONDS
from components.settings.strategies import STRATEGIES
from components.settings.strategy import Made
from manifests.reading import items, mapping, overlaps

from .changes import Change, changes
from .document import PlanDocument, Planned

DATA = ("PersistentVolumeClaim", "LocalModelCache")


def swap(before: PlanDocument, after: PlanDocument) -> list[str]:
    """Return lines for an operator: fetched weights, replaced pods, waiting clients, kept volumes, refusals.

    Empty if the strategy stays: the changes are listed by themselves then.
    """
    one, other = before.users.get("strategy"), after.users.get("strategy")
    if one == other or one is None or other is None:
        return []
    found = changes(before.resources, after.resources)
    return [
        f"swap    {one} -> {other}",
        f"fetched {_fetched(found, by=other)}",
        *(f"pods    {line}" for line in _pods(found, fronted=_fronted(after.resources))),
        f"kept    {_kept(before.resources, after.resources)}",
        *refusals(found),
    ]


def refusals(found: Sequence[Change]) -> list[str]:
    """Return a line for each change that would end `up`."""
    return [f"refused {change.title}: {change.reason}" for change in found if change.what == "refused"]


def _fetched(found: Sequence[Change], *, by: str) -> str:
    strategy = STRATEGIES.get(by)
    if strategy is None:  # documents are files, and another version may have written them
        return f"by strategy {by}, which this version does not know"
    made = [change for change in found if change.what in ("created", "replaced")]
    return strategy.fetched([Made(change.kind, change.name, change.role) for change in made])


def _pods(found: Sequence[Change], *, fronted: bool) -> Iterator[str]:
    for change in found:
        if not change.rolls:
            continue
        if overlaps(change.inputs):
            yield f"{change.title}: the next one is ready before the last one drains; no request waits"
        else:
            who = (
                f"the front holds requests for up to {HOLD_SECONDS} s"
                if fronted
                else "clients are refused until then; larder:gateway.front: true holds them"
            )
            yield f"{change.title}: the last one ends before the next one starts; {who}"


def _fronted(resources: Sequence[Planned]) -> bool:
    return any(resource.kind == "Deployment" and resource.name == FRONT for resource in resources)


def _kept(before: Sequence[Planned], after: Sequence[Planned]) -> str:
    still = {urn for resource in after for urn in resource.formerly()}
    # A volume has the name of its claim.
    data = {resource.name: resource.urn in still for resource in before if resource.kind in DATA}
    # A claim that is mounted but not declared belongs to others: a swap does not concern it.
    data = dict.fromkeys(_mounted(before), True) | data
    kept, lost = (sorted(name for name, there in data.items() if there is wanted) for wanted in (True, False))
    text = f"{', '.join(kept)}, with their contents" if kept else "no volume holds weights"
    return text + (f"; no longer declared: {', '.join(lost)}" if lost else "")


def _mounted(plan: Sequence[Planned]) -> Iterator[str]:
    for resource in plan:
        pod = mapping(mapping(mapping(resource.inputs.get("spec")).get("template")).get("spec"))
        for volume in items(pod.get("volumes")):
            if name := mapping(volume.get("persistentVolumeClaim")).get("claimName"):
                yield str(name)
