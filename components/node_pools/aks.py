"""Node pools of an AKS cluster."""

import pulumi
from pulumi_azure_native.containerservice import AgentPool, GPUProfileArgsDict
from pulumi_azure_native.provider import Provider

from ..manifest import content_name
from ..settings.clusters.aks import AksSettings
from ..settings.node_pools import NodePoolSettings, Taint
from ..settings.quantities import whole_gibibytes
from .base import PATIENCE, Placement, Pool, first_size, node_labels

_TAINT_OF_SPOT = Taint("kubernetes.azure.com/scalesetpriority", "spot", "NoSchedule")
"""The taint that AKS puts on every spot node."""
DRIVER_BY_OTHERS: GPUProfileArgsDict = {"driver": "None"}
"""AKS installs NVIDIA's driver or none; AMD's comes with its own operator."""


class AksPool(Pool[AksSettings]):
    """Machines of an AKS agent pool."""

    TYPE = "larder:node-pools:AksPool"

    @classmethod
    def connect(cls, cluster: AksSettings) -> list[pulumi.ProviderResource]:
        """Return the provider of the cluster's subscription, with the credentials of the environment."""
        return [Provider("azure", subscription_id=cluster.subscription)]

    def declare(self, name: str, pool: NodePoolSettings, cluster: AksSettings) -> Placement:
        """Register an agent pool named by its fixed fields: a new machine type makes a new pool before the old goes."""
        taints = (*pool.tolerated(), *((_TAINT_OF_SPOT,) if pool.spot else ()))
        made = AgentPool(
            name,
            resource_group_name=cluster.resource_group,
            resource_name_=cluster.name,
            agent_pool_name=agent_pool_name(name, pool),
            mode="User",
            os_type="Linux",
            vm_size=pool.instance,
            os_disk_size_gb=whole_gibibytes(pool.disk),
            enable_auto_scaling=True,
            min_count=pool.min,
            max_count=pool.most,
            count=first_size(pool),
            node_labels=node_labels(name, pool),
            node_taints=[str(taint) for taint in taints],
            # Without a highest price, a spot machine costs no more than one on demand.
            scale_set_priority="Spot" if pool.spot else None,
            gpu_profile=DRIVER_BY_OTHERS if pool.accelerator else None,
            # From the first `up` on the size is the autoscaler's.
            opts=self.child(pulumi.ResourceOptions(ignore_changes=["count"], custom_timeouts=PATIENCE)),
        )
        return Placement(pool=name, taints=taints, ready=(made,))


def agent_pool_name(name: str, pool: NodePoolSettings) -> str:
    """Return the pool's name and four digits of a hash of its fixed fields; AKS accepts 12 letters and digits."""
    return content_name(name, [pool.instance, pool.spot, pool.disk]).replace("-", "")[: len(name) + 4]
