"""Pods in manifests of any kind."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from manifests.reading import Property, items, mapping

from .rule import Resource

RUNTIME, SERVICE = "ServingRuntime", "InferenceService"
"""Kinds from which KServe makes a pod: containers of the runtime, resources and pod security of the service."""
_MAIN = "containers"
_LISTS = ("initContainers", _MAIN, "ephemeralContainers")


class Placed(NamedTuple):
    """A part of a manifest, and the path to it for findings."""

    path: str
    spec: Mapping[str, Property]


def pods(resource: Resource) -> Iterator[Placed]:
    """Yield everything with `containers`: a Pod's spec, a workload's template, a serving runtime; and a predictor."""
    if resource.kind == SERVICE:
        return iter([Placed("spec.predictor", mapping(mapping(resource.props.get("spec")).get("predictor")))])
    return _pods("", resource.props) if resource.kind else iter(())


def _pods(path: str, value: Property) -> Iterator[Placed]:
    if not isinstance(value, Mapping):
        return
    if isinstance(value.get(_MAIN), list):
        yield Placed(path, value)
    for key, inner in value.items():
        yield from _pods(f"{path}.{key}" if path else key, inner)


def containers(pod: Placed) -> Iterator[Placed]:
    """Yield the containers of a pod, with init containers and a predictor's model."""
    if model := mapping(pod.spec.get("model")):
        yield Placed(f"{pod.path}.model", model)
    for name in _LISTS:
        yield from _listed(pod, name)


def main_containers(pod: Placed) -> Iterator[Placed]:
    """Yield the main containers of a pod."""
    return _listed(pod, _MAIN)


def all_containers(resource: Resource) -> Iterator[Placed]:
    """Return the containers of every pod that the resource makes."""
    return (container for pod in pods(resource) for container in containers(pod))


def _listed(pod: Placed, name: str) -> Iterator[Placed]:
    for container in items(pod.spec.get(name)):
        yield Placed(f"{pod.path}.{name}[{container.get('name', '')}]", container)
