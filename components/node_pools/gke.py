"""Node pools of a GKE cluster."""

import re

import pulumi
from pulumi_gcp.container import NodePool as GkeNodePool
from pulumi_gcp.provider import Provider

from ..settings.clusters.gke import GkeSettings
from ..settings.node_pools import NodePoolSettings, Taint
from ..settings.quantities import whole_gibibytes
from .base import PATIENCE, Placement, Pool, node_labels

_ARM = re.compile(r"(t2a|c4a|n4a)-")
_TAINT_OF_ARM = Taint("kubernetes.io/arch", "arm64", "NoSchedule")
"""The taint that GKE itself puts on its Arm nodes."""
_EFFECTS = {"NoSchedule": "NO_SCHEDULE", "PreferNoSchedule": "PREFER_NO_SCHEDULE", "NoExecute": "NO_EXECUTE"}


class GkePool(Pool[GkeSettings]):
    """Machines of a GKE node pool."""

    TYPE = "larder:node-pools:GkePool"

    @classmethod
    def connect(cls, cluster: GkeSettings) -> list[pulumi.ProviderResource]:
        """Return the provider of the cluster's project, with the credentials of the environment."""
        return [Provider("gcp", project=cluster.project)]

    def declare(self, name: str, pool: NodePoolSettings, cluster: GkeSettings) -> Placement:
        """Register a node pool. It has no fixed name: a new machine type makes a new pool, before the old one goes."""
        made = GkeNodePool(
            name,
            project=cluster.project,
            location=cluster.location,
            cluster=cluster.name,
            # Limits over all zones. The first size would be one a zone: GKE's own autoscaler chooses it.
            autoscaling={"total_min_node_count": pool.min, "total_max_node_count": pool.most},
            # Clusters in a release channel require both.
            management={"auto_repair": True, "auto_upgrade": True},
            node_config={
                "machine_type": pool.instance,
                "spot": pool.spot,
                "disk_size_gb": whole_gibibytes(pool.disk),
                "labels": node_labels(name, pool),
                "taints": [
                    {"key": taint.key, "value": taint.value, "effect": _EFFECTS[taint.effect]}
                    for taint in pool.tolerated()
                ],
                # The service account limits the nodes, as Google advises.
                "oauth_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
            },
            opts=self.child(pulumi.ResourceOptions(custom_timeouts=PATIENCE)),
        )
        of_the_cloud = (_TAINT_OF_ARM,) if _ARM.match(pool.instance or "") else ()
        return Placement(pool=name, taints=(*pool.tolerated(), *of_the_cloud), ready=(made,))
