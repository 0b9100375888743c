"""Node pools of a cluster whose nodes exist already."""

import pulumi
from pulumi_kubernetes.core import v1 as core

from ..settings.clusters import ClusterSettings
from ..settings.node_pools import NodePoolSettings, Taint
from .base import Placement, Pool, node_labels


class HostPool(Pool[ClusterSettings]):
    """Nodes by their names."""

    TYPE = "larder:node-pools:HostPool"

    @classmethod
    def connect(cls, cluster: ClusterSettings) -> list[pulumi.ProviderResource]:  # noqa: ARG003
        """Return no provider: nodes are objects of the cluster."""
        return []

    def declare(self, name: str, pool: NodePoolSettings, cluster: ClusterSettings) -> Placement:  # noqa: ARG002
        """Write labels and taints by server-side apply if the pool has any; otherwise its nodes stay as they are.

        Deleting the patch gives its fields up, and a label or taint without another owner disappears. Kubernetes keeps
        a node's taints as one list: the API server refuses to change a list with another owner, and it stays so.
        """
        wanted = bool(pool.labels or pool.taints)
        patches = tuple(self._patch(name, pool, host) for host in pool.hosts or () if wanted)
        return Placement(pool=name, hosts=tuple(pool.hosts or ()), taints=pool.tolerated(), ready=patches)

    def _patch(self, name: str, pool: NodePoolSettings, host: str) -> core.NodePatch:
        # Server-side apply creates missing objects: a wrong host name would become a Node without a machine. After a
        # read of the node, the preview fails with its name.
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
