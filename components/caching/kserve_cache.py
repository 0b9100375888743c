"""Strategy `kserve-cache`: KServe's agent keeps the weights on the nodes' disks, and its pods find them there."""

from .base import CachingStrategy, Demand, Weights, needed

NAME = "kserve-cache"


class KServeCache(CachingStrategy):
    """Weights that KServe fetches once for each node; its pods mount what their model's URI stands for."""

    TYPE = "larder:caching:KServeCache"

    def deliver(self, demand: Demand) -> Weights:
        """Nothing to mount: KServe recognises the URI of a cached model and mounts its claim by itself."""
        cache = needed(demand.volumes.kserve_cache, NAME)
        return Weights(
            strategy=NAME,
            volumes=(),
            mounts=(),
            uris=cache.uris,
            wait_seconds=demand.budget_seconds,
            ready=(demand.config.config_map, *cache.caches),
        )
