"""The data volumes that a stack's settings declare."""

from dataclasses import dataclass
from typing import Self

import pulumi

from ..settings import Settings
from ..settings.node_pools import taints_of
from .local_volume import LocalVolume
from .shared_volume import SharedVolume


@dataclass(frozen=True, kw_only=True)
class DataVolumes:
    """Declared while their block is in `larder:cache`, whatever the strategy is."""

    node_local: LocalVolume | None
    shared_storage: SharedVolume | None

    @classmethod
    def declare(cls, settings: Settings, *, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions) -> Self:
        """Register the volumes of the settings."""
        local, shared = settings.cache.node_local, settings.cache.shared_storage
        return cls(
            node_local=LocalVolume(
                "node-local",
                local,
                taints=taints_of(local.node, settings.node_pools),
                image=settings.images.sidecar,
                namespace=namespace,
                opts=opts,
            )
            if local
            else None,
            shared_storage=SharedVolume(
                "shared-storage", shared, stack_namespace=settings.cluster.namespace, namespace=namespace, opts=opts
            )
            if shared
            else None,
        )
