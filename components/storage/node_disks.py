"""The disks of the nodes that hold weights: a claim for each to be filled by, and one that engines read them by."""

from dataclasses import dataclass
from typing import Self

import pulumi
from pulumi_kubernetes.core import v1 as core

from ..component import Component
from ..manifest import metadata
from ..settings import Settings
from ..settings.node_local import NodeLocal
from ..settings.node_pools import hosts_of, taints_of
from .local_volume import LocalVolume

MODES = ["ReadOnlyMany"]


@dataclass(frozen=True, kw_only=True)
class NodeDisks:
    """A volume for each node, and the claim by which an engine mounts that of the node it runs on."""

    volumes: tuple[LocalVolume, ...]
    claim_name: str
    ready: tuple[pulumi.Resource, ...] = ()
    """What has to be there before that claim is mounted, beside the volumes."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The nodes."""
        return tuple(volume.node for volume in self.volumes)

    @classmethod
    def declare(
        cls, settings: Settings, block: NodeLocal, *, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
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
    """The same folder on every node of a pool, as one claim that engines read and nobody writes."""

    TYPE = "larder:storage:PoolView"

    def __init__(
        self,
        pool: str,
        settings: NodeLocal,
        *,
        stack_namespace: str,
        namespace: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(f"{pool}-disks", opts)
        # Not `…-model-storage`, as the claims of nodes are: a node may have any name.
        self.claim_name = f"{pool}-pool-weights"
        # Volumes are the cluster's: two stacks on one pool need one each.
        volume_name = f"{stack_namespace}-{self.claim_name}"
        kept = pulumi.ResourceOptions(protect=True, retain_on_delete=True)
        volume = core.PersistentVolume(
            f"{pool}-view-volume",
            metadata=metadata(volume_name, f"the folder {settings.path} of whichever node of pool {pool} mounts it"),
            spec={
                "capacity": {"storage": settings.size},
                "access_modes": MODES,
                "persistent_volume_reclaim_policy": "Retain",
                "storage_class_name": "",
                "volume_mode": "Filesystem",
                # Not `local`, whose nodes nobody can change: a pool may grow. Pods are kept to its nodes by affinity,
                # and elsewhere the folder is missing, which the kubelet says.
                "host_path": {"path": settings.path, "type": "Directory"},
                # Without it any claim of the empty class, in any namespace, could take the volume.
                "claim_ref": {
                    "api_version": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": namespace,
                    "name": self.claim_name,
                },
            },
            opts=self.child(kept),
        )
        self.claim = core.PersistentVolumeClaim(
            f"{pool}-view-claim",
            metadata=metadata(
                self.claim_name,
                "what engines mount to read the weights of their own node",
                namespace=namespace,
                # Pods wait for what they mount; under a strategy that mounts nothing nobody has to.
                annotations={"pulumi.com/skipAwait": "true"},
            ),
            spec={
                "access_modes": MODES,
                "storage_class_name": "",
                "volume_mode": "Filesystem",
                "volume_name": volume_name,
                "resources": {"requests": {"storage": settings.size}},
            },
            opts=self.child(
                pulumi.ResourceOptions.merge(
                    kept,
                    # What a bound claim asked for cannot change, and no disk is cut by it: the volume's size is told.
                    pulumi.ResourceOptions(depends_on=[volume], ignore_changes=["spec.resources"]),
                )
            ),
        )
        self.register_outputs({"claim": self.claim_name})
