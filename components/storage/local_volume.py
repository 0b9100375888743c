"""The disk of one node as a volume that outlives everything else."""

import pulumi
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.storage import v1 as storage

from ..component import Component
from ..jobs import run_once
from ..manifest import label_name, metadata
from ..settings.node_local import Folder
from ..settings.node_pools import Taint
from .retention import SKIP_AWAIT, bound_to, claim_reference, protect_options

PREPARE_SECONDS = 120
"""Time to pull the image and run one container that exits at once."""


class LocalVolume(Component):
    """A folder on one node's disk, as a claim that pods of that node mount; protected and retained."""

    TYPE = "larder:storage:LocalVolume"

    def __init__(
        self,
        name: str,
        settings: Folder,
        *,
        node: str,
        taints: tuple[Taint, ...],
        image: str,
        namespace: pulumi.Input[str],
        claim_name: str = "",
        formerly_alone: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the volume; without a `claim_name` it holds the node's weights.

        `formerly_alone` adds aliases without the node's name, for stacks from when only one such volume could exist.
        """
        super().__init__(name, opts)
        self.node = node
        self.taints = taints
        self.claim_name = claim_name or f"{node}-model-storage"
        self._prefix = f"{name}-"
        self._prepares = f"{name}-prepare-path" if claim_name else label_name("prepare-path", node)
        ready: list[pulumi.Resource] = []
        if settings.prepare_path:
            ready.append(self._prepare(settings, image, namespace))
        storage_class = storage.StorageClass(
            f"{self._prefix}class",
            metadata=metadata(self.claim_name, "the class of this volume and its claim only"),
            provisioner="kubernetes.io/no-provisioner",
            volume_binding_mode="WaitForFirstConsumer",
            reclaim_policy="Retain",
            opts=self.child(_known_as("class", formerly_alone)),
        )
        stays = protect_options(depends_on=[storage_class])
        self.volume = core.PersistentVolume(
            f"{self._prefix}volume",
            metadata=metadata(self.claim_name, f"the folder {settings.path} of node {node}"),
            spec={
                "capacity": {"storage": settings.size},
                "access_modes": ["ReadWriteOnce"],
                "persistent_volume_reclaim_policy": "Retain",
                "storage_class_name": self.claim_name,
                "volume_mode": "Filesystem",
                "local": {"path": settings.path},
                "claim_ref": claim_reference(self.claim_name, namespace),
                "node_affinity": {
                    "required": {
                        "node_selector_terms": [
                            {
                                "match_expressions": [
                                    {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
                                ]
                            }
                        ]
                    }
                },
            },
            opts=self.child(pulumi.ResourceOptions.merge(stays, _known_as("volume", formerly_alone))),
        )
        self.claim = core.PersistentVolumeClaim(
            f"{self._prefix}claim",
            metadata=metadata(
                self.claim_name,
                "the claim that pods mount to reach the volume",
                namespace=namespace,
                annotations=SKIP_AWAIT,
            ),
            spec={
                "access_modes": ["ReadWriteOnce"],
                "storage_class_name": self.claim_name,
                "volume_mode": "Filesystem",
                "resources": {"requests": {"storage": settings.size}},
            },
            opts=self.child(
                pulumi.ResourceOptions.merge(
                    pulumi.ResourceOptions.merge(stays, _known_as("claim", formerly_alone)),
                    bound_to(self.volume),
                )
            ),
        )
        self.ready: tuple[pulumi.Resource, ...] = (*ready, self.claim)
        self.register_outputs({"claim": self.claim_name})

    def _prepare(self, settings: Folder, image: str, namespace: pulumi.Input[str]) -> batch.Job:
        # The kubelet creates the folder when it mounts the hostPath. The container does nothing and cannot write. The
        # first mount of the claim sets the group of the volume: local volumes honour fsGroup.
        return run_once(
            self._prepares,
            f"makes the folder {settings.path} on node {self.node}",
            role="prepare",
            container={
                "name": "prepare",
                "image": image,
                "command": ["larder-sidecar"],
                "args": ["--help"],
                "volume_mounts": [{"name": "folder", "mount_path": "/weights", "read_only": True}],
                "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
            },
            volumes=[{"name": "folder", "host_path": {"path": settings.path, "type": "DirectoryOrCreate"}}],
            host=self.node,
            taints=self.taints,
            deadline_seconds=PREPARE_SECONDS,
            namespace=namespace,
            opts=self.child(),
        )


def _known_as(name: str, formerly: bool) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(aliases=[pulumi.Alias(name=name)] if formerly else [])
