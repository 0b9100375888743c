"""A volume that many nodes mount at once; `destroy` keeps it."""

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.storage import v1 as storage

from ..component import Component
from ..manifest import metadata
from ..settings.shared_storage import Nfs, SharedStorageSettings
from .retention import SKIP_AWAIT, claim_reference, protect_options

CLAIM = "shared-model-storage"
MODES = ["ReadWriteMany"]


class SharedVolume(Component):
    """An NFS export, a volume of a storage class or an existing claim, mounted by pods on any node; kept by destroy."""

    TYPE = "larder:storage:SharedVolume"

    def __init__(
        self,
        name: str,
        settings: SharedStorageSettings,
        *,
        mounted: bool,
        stack_namespace: str,
        namespace: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the volume. If the active strategy mounts it (`mounted`), look for objects that others made."""
        super().__init__(name, opts)
        self.claim_name = settings.claim or CLAIM
        self.ready: tuple[pulumi.Resource, ...] = ()
        if not settings.claim:
            self.ready = (self._claim(settings, stack_namespace, namespace),)
        if mounted:
            self._look(settings, stack_namespace)
        self.register_outputs({"claim": self.claim_name})

    def _look(self, settings: SharedStorageSettings, stack_namespace: str) -> None:
        """Read the claim or storage class that others made: if it is missing, the preview fails with its name.

        Otherwise pods would stay Pending, and `up` would report it after the deadline of their Job.
        """
        if settings.claim:
            core.PersistentVolumeClaim.get(
                "shared-storage.claim", f"{stack_namespace}/{settings.claim}", opts=self.child()
            )
        elif settings.storage_class:
            storage.StorageClass.get("shared-storage.storage-class", settings.storage_class, opts=self.child())

    def _claim(
        self, settings: SharedStorageSettings, stack_namespace: str, namespace: pulumi.Input[str]
    ) -> core.PersistentVolumeClaim:
        # Volumes are cluster-scoped: two stacks that share an export need one each.
        volume_name = f"{stack_namespace}-{CLAIM}"
        volumes = [self._volume(volume_name, settings.nfs, settings.size, namespace)] if settings.nfs else []
        spec: core.PersistentVolumeClaimSpecArgsDict = {
            "access_modes": MODES,
            # The empty class selects volumes without a provisioner.
            "storage_class_name": settings.storage_class or "",
            "volume_mode": "Filesystem",
            "resources": {"requests": {"storage": settings.size}},
        }
        if volumes:
            spec["volume_name"] = volume_name
        return core.PersistentVolumeClaim(
            "claim",
            metadata=metadata(
                CLAIM,
                "the claim that pods mount to reach the shared weights",
                namespace=namespace,
                annotations=SKIP_AWAIT,
            ),
            spec=spec,
            opts=self.child(
                pulumi.ResourceOptions.merge(
                    protect_options(),
                    # A bound claim can grow only if its class allows it, and never without a provisioner.
                    pulumi.ResourceOptions(
                        depends_on=volumes, ignore_changes=["spec.resources"] if settings.nfs else []
                    ),
                )
            ),
        )

    def _volume(self, name: str, nfs: Nfs, size: str, namespace: pulumi.Input[str]) -> core.PersistentVolume:
        return core.PersistentVolume(
            "volume",
            metadata=metadata(name, f"the folder {nfs.path} of NFS server {nfs.server}"),
            spec={
                "capacity": {"storage": size},
                "access_modes": MODES,
                "persistent_volume_reclaim_policy": "Retain",
                "storage_class_name": "",
                "volume_mode": "Filesystem",
                # NFS before 4 needs lock daemons on the node. noatime saves a write per read.
                "mount_options": ["nfsvers=4.1", "noatime"],
                "nfs": {"server": nfs.server, "path": nfs.path},
                "claim_ref": claim_reference(CLAIM, namespace),
            },
            opts=self.child(protect_options()),
        )
