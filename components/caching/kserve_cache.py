"""Strategy `kserve-cache`: KServe's agent keeps the weights on the nodes' disks, and its pods read them there."""

import pulumi

from .. import storage
from ..settings import Settings
from ..settings.kserve_cache import KServeCacheSettings
from .base import CachingStrategy, Demand, Weights


class KServeCache(CachingStrategy[KServeCacheSettings, storage.KServeCache]):
    """Weights that KServe fetches once per node; its pods mount the cache of their model's URI."""

    TYPE = "larder:caching:KServeCache"
    SETTINGS = KServeCacheSettings

    @classmethod
    def prepare(
        cls, settings: Settings, block: KServeCacheSettings, demand: Demand, opts: pulumi.ResourceOptions
    ) -> storage.KServeCache:
        """Declare the caches that KServe fills and keeps."""
        return storage.KServeCache(
            block.NAME,
            block,
            demand.plan,
            stack_namespace=settings.cluster.namespace,
            hosts=settings.kserve_hosts,
            budget_seconds=demand.budget_seconds,
            opts=opts,
        )

    def deliver(self, block: KServeCacheSettings, prepared: storage.KServeCache, demand: Demand) -> Weights:
        """Mount nothing: KServe recognises the URI of a cached model and mounts its claim by itself."""
        return Weights(
            strategy=block.NAME,
            volumes=(),
            mounts=(),
            uris=prepared.uris,
            wait_seconds=demand.budget_seconds,
            ready=(demand.config.config_map, *prepared.caches),
        )
