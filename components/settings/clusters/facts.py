"""Facts of a kind of cluster, which its class states beside its settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ServiceType = Literal["ClusterIP", "NodePort"]
ONE_NODE = "gives disks that one node mounts at a time (ReadWriteOnce): the claim would stay Pending"
"""Advice on a storage class without volumes that many nodes mount."""


@dataclass(frozen=True, kw_only=True)
class Accelerated:
    """Machine types of a cloud that have an accelerator."""

    mark: str
    """Part of the name of each of these machine types."""
    example: str


@dataclass(frozen=True, kw_only=True)
class PoolNames:
    """Names that a cloud accepts for a node pool, if it accepts fewer than larder:node-pools."""

    pattern: re.Pattern[str]
    rule: str
    """The pattern in words: a sentence without its period."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Pulumi package of a cloud."""

    package: str
    """Name of the package, with which the types of its resources begin."""
    place: str
    """Input of the package's provider that says where the cluster is."""
    extra: str
    """Extra in pyproject.toml that installs the package."""


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Machines that a cloud makes for a node pool."""

    types: re.Pattern[str]
    """Grammar of the names of machine types."""
    example: str
    """A machine type."""
    provider: Provider
    resource: str
    """Type of the Pulumi resource of a pool, without package and module."""
    pool: str
    """The cloud's own name for a pool, with its article."""
    accelerators: Mapping[str, Accelerated] = field(default_factory=dict)
    """Machine types with accelerators, by the accelerator's resource in Kubernetes."""
    pool_names: PoolNames | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts of a kind of cluster for the program."""

    pools: str
    """The component of a node pool as `module:class`, which is imported when a stack of this kind is planned."""
    machines: Machines | None
    """Machines that the cloud makes; None if a pool names nodes that exist."""
    storage_classes: Mapping[str, str]
    """Advice on storage classes of these clusters that are wrong, or not the best, for shared weights."""
    context: str = ""
    """Default kube context; empty if the stack file must name one."""
    kubernetes: str | None = None
    """Default version of Kubernetes; None if it is unknown."""
    service: ServiceType = "ClusterIP"
    """Default type of the entry's Service."""
    testbed: bool = False
    """True for the cluster that `make up` starts, with images and weights that it builds."""
