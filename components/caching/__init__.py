"""The caching strategies: one module each, and one contract for all."""

from typing import Any

import pulumi

from ..settings import Settings
from .base import CachingStrategy, Demand, Weights
from .image_volume import ImageVolume
from .kserve_cache import KServeCache
from .node_local import NodeLocal
from .none import NoCache
from .prebuilt_image import PrebuiltImage
from .prune import Prune
from .shared_storage import SharedStorage
from .weights_config import WeightsConfig

STRATEGIES: dict[str, type[CachingStrategy[Any, Any]]] = {
    strategy.SETTINGS.NAME: strategy
    for strategy in (NoCache, PrebuiltImage, ImageVolume, SharedStorage, NodeLocal, KServeCache)
}
"""The component of each strategy in components/settings/strategies.py, by its word."""


def deliver(settings: Settings, demand: Demand, opts: pulumi.ResourceOptions) -> Weights:
    """Register the resources that blocks keep and the active strategy; return the weights that an engine mounts."""
    cache = settings.cache
    prepared = {block.NAME: STRATEGIES[block.NAME].prepare(settings, block, demand, opts) for block in cache.blocks}
    return STRATEGIES[cache.strategy](cache.block, prepared.get(cache.strategy), demand, opts).weights


__all__ = ["STRATEGIES", "CachingStrategy", "Demand", "Prune", "Weights", "WeightsConfig", "deliver"]
