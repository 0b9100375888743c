"""Rules for volumes and rollouts: data stays, and the next pod can start."""

from collections.abc import Iterator, Mapping, Sequence

from manifests.reading import Property, items, mapping, overlaps, texts

from .pods import SERVICE, Placed, containers, pods
from .rule import Finding, Level, Resource, Rule, StackRule

_HOST = "kubernetes.io/hostname"


def _find_unprotected_data(resource: Resource) -> Iterator[str]:
    if resource.kind not in ("PersistentVolume", "PersistentVolumeClaim"):
        return
    if not resource.protect:
        yield "is not protected: a change of the program could delete the data. Fix: declare it with protect=True."
    policy = mapping(resource.props.get("spec")).get("persistentVolumeReclaimPolicy", "")
    if resource.kind == "PersistentVolume" and isinstance(policy, str) and policy != "Retain":
        yield (
            f"spec.persistentVolumeReclaimPolicy: {policy!r} deletes the data with its claim. Fix: set it to Retain."
        )


def _find_impossible_overlaps(resources: Sequence[Resource]) -> Iterator[Finding]:
    modes = {_place(claim): _modes(claim) for claim in resources if claim.kind == "PersistentVolumeClaim"}
    for resource in resources:
        if resource.kind not in ("Deployment", SERVICE) or not overlaps(resource.props):
            continue
        for pod in pods(resource):
            for claim in _claims(pod):
                found = modes.get((_place(resource)[0], claim))
                if found == {"ReadWriteOncePod"} or (found == {"ReadWriteOnce"} and len(_hosts(pod)) != 1):
                    yield (
                        resource,
                        f"{pod.path}.volumes: claim {claim} is {', '.join(found)}, so the next pod may wait "
                        "for the old one to end. Fix: set spec.strategy.rollingUpdate to {maxSurge: 0, "
                        "maxUnavailable: 1}, or keep the pods on one node that may mount it twice.",
                    )
            if len(_hosts(pod)) == 1 and (gpu := _gpu(pod)):
                yield (
                    resource,
                    f"{gpu}: the next pod waits for the GPU of the old one, since they may use only one node. "
                    "Fix: disable the surge: {maxSurge: 0, maxUnavailable: 1}, or Recreate under KServe.",
                )


def _place(resource: Resource) -> tuple[str, str]:
    metadata = mapping(resource.props.get("metadata"))
    # An unknown namespace is the stack's own, which all of its objects share.
    namespace, name = metadata.get("namespace"), metadata.get("name")
    return namespace if isinstance(namespace, str) else "", str(name)


def _modes(claim: Resource) -> set[str]:
    return set(texts(mapping(claim.props.get("spec")).get("accessModes")))


def _claims(pod: Placed) -> Iterator[str]:
    for volume in items(pod.spec.get("volumes")):
        claim = mapping(volume.get("persistentVolumeClaim"))
        if claim:
            yield str(claim.get("claimName"))


def _hosts(pod: Placed) -> set[str]:
    """Return the nodes that the pod may use; empty if it may use any."""
    if host := mapping(pod.spec.get("nodeSelector")).get(_HOST):
        return {str(host)}
    affinity = mapping(mapping(pod.spec.get("affinity")).get("nodeAffinity"))
    required = mapping(affinity.get("requiredDuringSchedulingIgnoredDuringExecution"))
    terms = items(required.get("nodeSelectorTerms"))
    named = [_named(term) for term in terms]
    return set().union(*named) if named and all(named) else set()  # terms are alternatives: one without hosts opens all


def _named(term: Mapping[str, Property]) -> set[str]:
    for expression in items(term.get("matchExpressions")):
        if expression.get("key") == _HOST and expression.get("operator") == "In":
            return set(texts(expression.get("values")))
    return set()


def _gpu(pod: Placed) -> str | None:
    for path, container in containers(pod):
        for name in mapping(mapping(container.get("resources")).get("limits")):
            if name.endswith(".com/gpu"):
                return f"{path}.resources.limits[{name}]"
    return None


PROTECTED_DATA = Rule(
    name="protected-data",
    level=Level.MANDATORY,
    refuses="A volume or claim that is not protected, or a volume that its cluster may delete.",
    why="Weights are gigabytes that took hours to get; no swap, no `destroy` and no dropped block may delete them.",
    check=_find_unprotected_data,
)
NO_IMPOSSIBLE_OVERLAP = StackRule(
    name="no-impossible-overlap",
    level=Level.MANDATORY,
    refuses="A Deployment whose next pod needs what only one can have: a ReadWriteOnce claim, or its only node's GPU.",
    why="The rollout would wait for its own old pod until the deadline, and then fail.",
    judge=_find_impossible_overlaps,
)
