"""Node pools of a cluster that has the nodes it has."""

import pulumi
from pulumi_kubernetes.core import v1 as core

from ..settings.clusters import Cluster
from ..settings.node_pools import NodePool, Taint
from .base import Placement, Pool, node_labels


class HostPool(Pool[Cluster]):
    """Nodes by their names."""

    TYPE = "larder:node-pools:HostPool"

    @classmethod
    def connect(cls, cluster: Cluster) -> list[pulumi.ProviderResource]:  # noqa: ARG003
        """None of its own: nodes are objects of the cluster."""
        return []

    def declare(self, name: str, pool: NodePool, cluster: Cluster) -> Placement:  # noqa: ARG002
        """Labels and taints by server-side apply, where the pool asks for any: nodes of others stay as they are.

        Undone by giving the fields up: a label or taint that nobody else holds goes with the patch. Kubernetes keeps
        a node's taints as one list: one that somebody else wrote is refused by the API server and never overruled.
        """
        wanted = bool(pool.labels or pool.taints)
        patches = tuple(self._patch(name, pool, host) for host in pool.hosts or () if wanted)
        return Placement(pool=name, hosts=tuple(pool.hosts or ()), taints=pool.tolerated(), ready=patches)

    def _patch(self, name: str, pool: NodePool, host: str) -> core.NodePatch:
        # Server-side apply makes what is not there: a host whose name is wrong would become a Node without a machine.
        # Read first, it ends the preview with its name.
        there = core.Node.get(f"node-pools.{name}.hosts.{host}", host, opts=self.child())
        return core.NodePatch(
            host,
            metadata={"name": host, "labels": node_labels(name, pool)},
            spec={"taints": [_written(taint) for taint in pool.tolerated()]} if pool.taints else None,
            # Not below this pool: a node that moves to another one, or a pool that gets another name, would be a second
            # patch of the node, and in conflict with the first.
            opts=pulumi.ResourceOptions(parent=self.around, depends_on=[there]),
        )


def _written(taint: Taint) -> core.TaintPatchArgsDict:
    # An empty value would differ from the one that the API server leaves out.
    written: core.TaintPatchArgsDict = {"key": taint.key, "effect": taint.effect}
    if taint.value:
        written["value"] = taint.value
    return written
