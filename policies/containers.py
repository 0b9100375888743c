"""Rules for the security context and the resources of containers."""

from collections.abc import Iterator

from manifests.reading import mapping, texts

from .pods import RUNTIME, SERVICE, all_containers, containers, pods
from .rule import Level, Resource, Rule, lacks


def _find_privileges(resource: Resource) -> Iterator[str]:
    for pod in pods(resource):
        of_pod = mapping(pod.spec.get("securityContext"))
        for shared in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(shared) is True:
                yield f"{pod.path}.{shared}: shares a namespace of the node. Fix: remove it."
        for path, container in containers(pod):
            own = mapping(container.get("securityContext"))
            both = {**of_pod, **own}  # the container's own values take precedence
            capabilities = mapping(own.get("capabilities"))
            whole = ((both, "runAsNonRoot", True),)
            each = ((own, "readOnlyRootFilesystem", True), (own, "allowPrivilegeEscalation", False))
            wanted = {RUNTIME: each, SERVICE: whole}.get(resource.kind, (*whole, *each))
            missing = [f"{key}: {str(value).lower()}" for settings, key, value in wanted if lacks(settings, key, value)]
            if (resource.kind != SERVICE and lacks(capabilities, "drop", ["ALL"])) or texts(capabilities.get("add")):
                missing.append("capabilities: {drop: [ALL]}")
            if both.get("runAsUser") == 0:
                missing.append("a runAsUser other than 0")
            if own.get("privileged") is True:
                missing.append("privileged: false")
            if missing:
                yield f"{path}.securityContext: does not state {', '.join(missing)}. Fix: add it."


def _find_missing_resources(resource: Resource) -> Iterator[str]:
    for path, container in all_containers(resource) if resource.kind != RUNTIME else ():
        resources = mapping(container.get("resources"))
        missing = [
            f"{part}.{what}"
            for part, what in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"))
            if mapping(resources.get(part)).get(what) is None
        ]
        if missing:
            yield f"{path}.resources: does not state {', '.join(missing)}. Fix: add them."


RESTRICTED_CONTAINERS = Rule(
    name="restricted-containers",
    level=Level.MANDATORY,
    refuses="A container that may be root, write to its root file system, gain privileges, or keeps a capability.",
    why="Engines parse files from the internet: an attacker who controls one must not gain control of the node.",
    check=_find_privileges,
)
STATED_RESOURCES = Rule(
    name="stated-resources",
    level=Level.ADVISORY,
    refuses="A container without requests for cpu and memory and a limit for memory.",
    why="An engine that grows can evict its neighbours. Advisory: a LimitRange of the namespace may set them too.",
    check=_find_missing_resources,
)
