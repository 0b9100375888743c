"""The data volumes that a stack's settings declare."""

from dataclasses import dataclass
from typing import Self

import pulumi
from larder_sidecar.config.weights import WeightsPlan

from ..settings import Settings
from .kserve_cache import KServeCache
from .node_disks import NodeDisks
from .shared_volume import SharedVolume


@dataclass(frozen=True, kw_only=True)
class DataVolumes:
    """Declared while their block is in `larder:cache`, whatever the strategy is."""

    node_local: NodeDisks | None
    shared_storage: SharedVolume | None
    kserve_cache: KServeCache | None

    @classmethod
    def declare(
        cls, settings: Settings, plan: WeightsPlan, *, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> Self:
        """Register the volumes of the settings."""
        cache, own = settings.cache, settings.cluster.namespace
        local, shared, kserve = cache.node_local, cache.shared_storage, cache.kserve_cache
        return cls(
            node_local=NodeDisks.declare(settings, local, namespace=namespace, opts=opts) if local else None,
            shared_storage=SharedVolume("shared-storage", shared, stack_namespace=own, namespace=namespace, opts=opts)
            if shared
            else None,
            kserve_cache=KServeCache(
                "kserve-cache",
                kserve,
                plan,
                stack_namespace=own,
                hosts=settings.kserve_hosts,
                budget_seconds=settings.budget_seconds(plan.total_bytes()),
                opts=opts,
            )
            if kserve
            else None,
        )
