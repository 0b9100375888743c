"""The data volumes that a stack's settings declare."""

from dataclasses import dataclass
from typing import Self

import pulumi

from ..settings import Settings
from ..settings.node_pools import taints_of
from .local_volume import LocalVolume


@dataclass(frozen=True, kw_only=True)
class DataVolumes:
    """Declared while their block is in `larder:cache`, whatever the strategy is."""

    node_local: LocalVolume | None

    @classmethod
    def declare(cls, settings: Settings, *, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions) -> Self:
        """Register the volumes of the settings."""
        block = settings.cache.node_local
        return cls(
            node_local=LocalVolume(
                "node-local",
                block,
                taints=taints_of(block.node, settings.node_pools),
                image=settings.images.sidecar,
                namespace=namespace,
                opts=opts,
            )
            if block
            else None,
        )
