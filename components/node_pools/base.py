"""Contract between node pools and stacks: settings go in, a `Placement` comes out, and stacks know no cloud."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pulumi
from pulumi_kubernetes.core import v1 as core

from ..component import Component
from ..settings.clusters import ClusterSettings
from ..settings.node_pools import POOL_LABEL, NodePoolSettings, Taint

C = TypeVar("C", bound=ClusterSettings)
"""The settings of the clusters that a class of pools is for."""
HOSTNAME = "kubernetes.io/hostname"
PATIENCE = pulumi.CustomTimeouts(create="30m", update="60m", delete="60m")
"""A cloud makes machines within minutes; before it replaces or deletes them, their pods drain."""


def tolerations(taints: Iterable[Taint]) -> list[core.TolerationArgsDict]:
    """Return the tolerations of a pod that runs on nodes with these taints."""
    return [
        {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect}
        if taint.value
        else {"key": taint.key, "operator": "Exists", "effect": taint.effect}
        for taint in taints
    ]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Nodes on which the pods of a pool run, and resources that the pods wait for."""

    pool: str
    hosts: tuple[str, ...] = ()
    """Names of the nodes; empty if only the pool's label identifies them."""
    taints: tuple[Taint, ...] = ()
    """Taints that the pods tolerate, the cloud's own taints included."""
    ready: tuple[pulumi.Resource, ...] = ()
    """Resources that exist before the pods."""

    def affinity(self, within: Sequence[str] | None = None) -> core.AffinityArgsDict:
        """Return the affinity to the nodes of the pool; to those in `within` only, if it is given."""
        hosts = self.hosts if within is None else tuple(host for host in self.hosts or within if host in within)
        wanted: core.NodeSelectorRequirementArgsDict = (
            {"key": HOSTNAME, "operator": "In", "values": list(hosts)}
            if hosts
            else {"key": POOL_LABEL, "operator": "In", "values": [self.pool]}
        )
        return {
            "node_affinity": {
                "required_during_scheduling_ignored_during_execution": {
                    "node_selector_terms": [{"match_expressions": [wanted]}]
                }
            }
        }


class Pool(Component, ABC, Generic[C]):
    """Machines of one kind. A subclass registers them and returns their placement."""

    def __init__(
        self, name: str, pool: NodePoolSettings, cluster: C, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self.around = opts.parent if opts else None
        """Parent of resources that must survive a change of the pool's name."""
        self.placement = self.declare(name, pool, cluster)
        self.register_outputs({"pool": name})

    @classmethod
    @abstractmethod
    def connect(cls, cluster: C) -> list[pulumi.ProviderResource]:
        """Return the provider of the cluster's cloud; none if the one of Kubernetes is enough."""

    @abstractmethod
    def declare(self, name: str, pool: NodePoolSettings, cluster: C) -> Placement:
        """Register the pool's resources as children; return the placement of its pods."""


def node_labels(name: str, pool: NodePoolSettings) -> dict[str, str]:
    """Return the labels of the pool's nodes."""
    return {**pool.labels, POOL_LABEL: name}


def first_size(pool: NodePoolSettings) -> int:
    """Return the first number of machines: at least one, so that pods run in a pool without an autoscaler too."""
    return max(pool.min, 1)
