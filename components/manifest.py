"""Parts that all manifests share: labels, the description, and the security of containers."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

Container: TypeAlias = core.ContainerArgsDict
EnvVar: TypeAlias = core.EnvVarArgsDict
Metadata: TypeAlias = meta.ObjectMetaArgsDict
PodSpec: TypeAlias = core.PodSpecArgsDict
Resources: TypeAlias = core.ResourceRequirementsArgsDict
Volume: TypeAlias = core.VolumeArgsDict
VolumeMount: TypeAlias = core.VolumeMountArgsDict

Untyped: TypeAlias = Any
"""A JSON value for which the SDK has no types."""

INSTANCE = "larder"
DESCRIPTION = "kubernetes.io/description"
"""Kubernetes' annotation for the purpose of an object; `kubectl describe` and `make plan` show it."""
USER = 1000
"""uid and gid of every process, and the group that may write to volumes."""


def selector(name: str) -> dict[str, str]:
    """Return the labels that select the pods of `name`: these two and never more, for selectors cannot change."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": INSTANCE}


def spread(name: str) -> core.TopologySpreadConstraintArgsDict:
    """Return the constraint that spreads the pods of `name` over nodes."""
    return {
        "max_skew": 1,
        "topology_key": "kubernetes.io/hostname",
        "when_unsatisfiable": "ScheduleAnyway",
        "label_selector": {"match_labels": selector(name)},
    }


def labels(name: str) -> dict[str, str]:
    """Return all labels of an object that belongs to `name`."""
    return {**selector(name), "app.kubernetes.io/part-of": "larder", "app.kubernetes.io/managed-by": "pulumi"}


def metadata(
    name: str,
    description: str,
    *,
    of: str = INSTANCE,
    namespace: pulumi.Input[str] | None = None,
    annotations: Mapping[str, str] | None = None,
    more_labels: Mapping[str, str] | None = None,
) -> Metadata:
    """Return the metadata of the object `name`, part of `of`. Without a namespace the object is the cluster's."""
    result: Metadata = {
        "name": name,
        "labels": {**labels(of), **(more_labels or {})},
        "annotations": {DESCRIPTION: description, **(annotations or {})},
    }
    if namespace is not None:
        result["namespace"] = namespace
    return result


TMP = "tmp"
"""Name of the volume at /tmp in every pod of the platform: root file systems are read-only."""


def scratch() -> Volume:
    """Return the volume at /tmp."""
    return {"name": TMP, "empty_dir": {"size_limit": "1Gi"}}


def environment(values: Mapping[str, str]) -> list[EnvVar]:
    """Return the environment variables of a container, in their order."""
    return [{"name": name, "value": value} for name, value in values.items()]


def container_security() -> core.SecurityContextArgsDict:
    """Return the security of a container: no privilege to gain, no capability, nothing writable but the mounts."""
    return {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pod_security() -> core.PodSecurityContextArgsDict:
    """Return the security of a pod: not root, volumes of our group. With container_security it is `restricted`."""
    return {
        "run_as_non_root": True,
        "run_as_user": USER,
        "run_as_group": USER,
        "fs_group": USER,
        # The kubelet checks only the root of the volume: a walk at every start would take longer than the mount.
        "fs_group_change_policy": "OnRootMismatch",
        "seccomp_profile": {"type": "RuntimeDefault"},
    }


class PodBase(TypedDict):
    """The part that the specs of all our pods share."""

    automount_service_account_token: bool
    enable_service_links: bool
    security_context: core.PodSecurityContextArgsDict


def pod_base() -> PodBase:
    """Return a base without API server token and Service variables, with the security context of every pod."""
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": pod_security(),
    }


def pod(spec: PodSpec) -> PodSpec:
    """Return the spec of a pod with the base that all our pods share."""
    return {**pod_base(), **spec}


def camel_case(value: Untyped) -> Untyped:
    """Return the value with keys as Kubernetes spells them, for custom resources, which the SDK has no types for.

    Keys without an underscore stay: labels, resources and annotations have none.
    """
    if isinstance(value, Mapping):
        return {_camel(key): camel_case(item) for key, item in value.items()}
    return [camel_case(item) for item in value] if isinstance(value, list | tuple) else value


def _camel(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(map(str.capitalize, others))


def content_name(prefix: str, content: object) -> str:
    """Return `<prefix>-<8 hex digits of the content>`, for objects that cannot change in place."""
    canonical = content if isinstance(content, str) else json.dumps(content, sort_keys=True)
    return f"{prefix}-{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"


_LONGEST_LABEL = 54
"""The part of the 63 characters of a label that leaves room for `content_name`."""


def label_name(prefix: str, host: str) -> str:
    """Return `<prefix>-<host>`; a hash replaces the end of a name that would be too long."""
    whole = f"{prefix}-{host}"
    return whole if len(whole) <= _LONGEST_LABEL else content_name(whole[: _LONGEST_LABEL - 9].rstrip("-."), host)


_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""An RFC 1123 subdomain, as Kubernetes checks names."""
_LONGEST_NAME = 63
"""Characters of the longest name that is a valid label too."""


def object_name(prefix: str, word: str, content: str) -> str:
    """Return `<prefix>-<word>-<8 hex digits>` for a word that may be no valid name, such as a model's id.

    Characters that a name cannot hold become dashes, and a long word is cut; then the digits cover the whole word too.
    """
    whole = content_name(f"{prefix}-{word}", content)
    if len(whole) <= _LONGEST_NAME and _NAME.fullmatch(whole):
        return whole
    plain = re.sub("[^a-z0-9]+", "-", f"{prefix}-{word}")
    return content_name(plain[:_LONGEST_LABEL].rstrip("-"), [prefix, word, content])
