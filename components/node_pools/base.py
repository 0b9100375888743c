"""The contract between node pools and stacks: settings go in, a `Placement` comes out, and stacks know no cloud."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pulumi
from pulumi_kubernetes.core import v1 as core

from ..component import Component
from ..settings.clusters import Cluster
from ..settings.node_pools import POOL_LABEL, NodePool, Taint

C = TypeVar("C", bound=Cluster)
"""The settings of the clusters that a class of pools is for."""
HOSTNAME = "kubernetes.io/hostname"
PATIENCE = pulumi.CustomTimeouts(create="30m", update="60m", delete="60m")
"""Machines come within minutes; taking them away or renewing them waits for pods that drain."""


def tolerations(taints: Iterable[Taint]) -> list[core.TolerationArgsDict]:
    """What a pod says to run on nodes with these taints."""
    return [
        {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect}
        if taint.value
        else {"key": taint.key, "operator": "Exists", "effect": taint.effect}
        for taint in taints
    ]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where pods of a pool run, and what they wait for."""

    pool: str
    hosts: tuple[str, ...] = ()
    """The nodes by name; none where they are known by the pool's label alone."""
    taints: tuple[Taint, ...] = ()
    """What the pods have to tolerate, the cloud's own taints included."""
    ready: tuple[pulumi.Resource, ...] = ()
    """What has to be there before the pods."""

    def affinity(self, within: Sequence[str] | None = None) -> core.AffinityArgsDict:
        """The nodes of the pool; of these only `within`, where just some of them will do."""
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
    """Machines of one kind. A subclass registers them and says where pods find them."""

    def __init__(self, name: str, pool: NodePool, cluster: C, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.around = opts.parent if opts else None
        """The parent, for what must outlive a pool's name."""
        self.placement = self.declare(name, pool, cluster)
        self.register_outputs({"pool": name})

    @classmethod
    @abstractmethod
    def connect(cls, cluster: C) -> list[pulumi.ProviderResource]:
        """The cloud's provider, pointed at what holds the cluster; none where that of Kubernetes will do."""

    @abstractmethod
    def declare(self, name: str, pool: NodePool, cluster: C) -> Placement:
        """Register the pool's resources as children, and say where its pods run."""


def node_labels(name: str, pool: NodePool) -> dict[str, str]:
    """The labels of the pool's nodes."""
    return {**pool.labels, POOL_LABEL: name}


def first_size(pool: NodePool) -> int:
    """How many machines to begin with: one at least, so that a pool without an autoscaler has somewhere to run."""
    return max(pool.min, 1)
