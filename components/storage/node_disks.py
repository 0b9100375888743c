"""Disks of the nodes that hold weights: one claim per node to fill it, and one claim through which engines read."""

from dataclasses import dataclass
from typing import Self

import pulumi
from pulumi_kubernetes.core import v1 as core

from ..component import Component
from ..manifest import metadata
from ..settings import Settings
from ..settings.node_local import NodeLocalSettings
from ..settings.node_pools import hosts_of, taints_of
from .local_volume import LocalVolume
from .retention import SKIP_AWAIT, bound_to, claim_reference, protect_options

MODES = ["ReadOnlyMany"]


@dataclass(frozen=True, kw_only=True)
class NodeDisks:
    """A volume per node, and the claim through which an engine mounts the volume of its own node."""

    volumes: tuple[LocalVolume, ...]
    claim_name: str
    ready: tuple[pulumi.Resource, ...] = ()
    """Resources, besides the volumes, that must exist before a pod mounts the claim."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the nodes."""
        return tuple(volume.node for volume in self.volumes)

    @classmethod
    def declare(
        cls, settings: Settings, block: NodeLocalSettings, *, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> Self:
        """Register the volumes of the block."""
        volumes = tuple(
            LocalVolume(
                host,
                block,
                node=host,
                taints=taints_of(host, settings.node_pools),
                image=settings.images.sidecar,
                namespace=namespace,
                formerly_alone=block.pool is None,
                opts=opts,
            )
            for host in block.hosts(hosts_of(settings.node_pools))
        )
        if block.pool is None:
            return cls(volumes=volumes, claim_name=volumes[0].claim_name)
        view = PoolView(block.pool, block, stack_namespace=settings.cluster.namespace, namespace=namespace, opts=opts)
        return cls(volumes=volumes, claim_name=view.claim_name, ready=(view.claim,))


class PoolView(Component):
    """The same folder on every node of a pool, as one claim that engines read and no pod writes."""

    TYPE = "larder:storage:PoolView"

    def __init__(
        self,
        pool: str,
        settings: NodeLocalSettings,
        *,
        stack_namespace: str,
        namespace: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(f"{pool}-disks", opts)
        # The claims of nodes end in `-model-storage`, and a node may have the name of the pool.
        self.claim_name = f"{pool}-pool-weights"
        # Volumes are cluster-scoped: two stacks on one pool need one each.
        volume_name = f"{stack_namespace}-{self.claim_name}"
        volume = core.PersistentVolume(
            f"{pool}-view-volume",
            metadata=metadata(volume_name, f"the folder {settings.path} on each node of pool {pool} that mounts it"),
            spec={
                "capacity": {"storage": settings.size},
                "access_modes": MODES,
                "persistent_volume_reclaim_policy": "Retain",
                "storage_class_name": "",
                "volume_mode": "Filesystem",
                # Not `local`: its node affinity is immutable, and a pool may grow. Affinity keeps pods on the pool's
                # nodes; on other nodes the folder is missing, and the kubelet reports that.
                "host_path": {"path": settings.path, "type": "Directory"},
                "claim_ref": claim_reference(self.claim_name, namespace),
            },
            opts=self.child(protect_options()),
        )
        self.claim = core.PersistentVolumeClaim(
            f"{pool}-view-claim",
            metadata=metadata(
                self.claim_name,
                "the claim that engines mount to read the weights of their own node",
                namespace=namespace,
                annotations=SKIP_AWAIT,
            ),
            spec={
                "access_modes": MODES,
                "storage_class_name": "",
                "volume_mode": "Filesystem",
                "volume_name": volume_name,
                "resources": {"requests": {"storage": settings.size}},
            },
            opts=self.child(pulumi.ResourceOptions.merge(protect_options(), bound_to(volume))),
        )
        self.register_outputs({"claim": self.claim_name})
