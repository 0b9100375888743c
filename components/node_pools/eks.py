"""Node pools of an EKS cluster."""

import re

import pulumi
from pulumi_aws.eks import NodeGroup
from pulumi_aws.provider import Provider

from ..settings.clusters.eks import EksSettings
from ..settings.node_pools import NodePoolSettings
from ..settings.quantities import whole_gibibytes
from .base import PATIENCE, Placement, Pool, first_size, node_labels

_GRAVITON = re.compile(r"a1\.|[a-z]+[0-9]+g[a-z]*\.")
_EFFECTS = {"NoSchedule": "NO_SCHEDULE", "PreferNoSchedule": "PREFER_NO_SCHEDULE", "NoExecute": "NO_EXECUTE"}


class EksPool(Pool[EksSettings]):
    """Machines of an EKS managed node group."""

    TYPE = "larder:node-pools:EksPool"

    @classmethod
    def connect(cls, cluster: EksSettings) -> list[pulumi.ProviderResource]:
        """Return the provider of the cluster's region, with the credentials of the environment."""
        return [Provider("aws", region=cluster.region)]

    def declare(self, name: str, pool: NodePoolSettings, cluster: EksSettings) -> Placement:
        """Register a node group without a fixed name: a new instance type makes a new group before the old goes."""
        instance = pool.instance or ""
        group = NodeGroup(
            name,
            cluster_name=cluster.name,
            node_role_arn=cluster.node_role,
            subnet_ids=cluster.subnets,
            instance_types=[instance],
            ami_type=ami_type(instance),
            capacity_type="SPOT" if pool.spot else "ON_DEMAND",
            disk_size=whole_gibibytes(pool.disk),
            scaling_config={"min_size": pool.min, "max_size": pool.most, "desired_size": first_size(pool)},
            labels=node_labels(name, pool),
            taints=[
                {"key": taint.key, "value": taint.value or None, "effect": _EFFECTS[taint.effect]}
                for taint in pool.tolerated()
            ],
            # From the first `up` on the size is the autoscaler's.
            opts=self.child(
                pulumi.ResourceOptions(ignore_changes=["scalingConfig.desiredSize"], custom_timeouts=PATIENCE)
            ),
        )
        return Placement(pool=name, taints=pool.tolerated(), ready=(group,))


def ami_type(instance: str) -> str:
    """Return the image for the instance's processor; without it, EKS boots the one for x86 on every instance."""
    return f"AL2023_{'ARM_64' if _GRAVITON.match(instance) else 'x86_64'}_STANDARD"
