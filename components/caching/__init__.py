"""How weights reach an engine: one strategy a module, one contract for all of them."""

from collections.abc import Mapping

import pulumi

from .base import CachingStrategy, Demand, EngineBuild, Weights
from .image_volume import ImageVolume
from .kserve_cache import KServeCache
from .node_local import NodeLocal
from .none import NoCache
from .prebuilt_image import PrebuiltImage
from .prune import Prune
from .shared_storage import SharedStorage
from .weights_config import WeightsConfig

STRATEGIES: Mapping[str, type[CachingStrategy]] = {
    "none": NoCache,
    "prebuilt-image": PrebuiltImage,
    "image-volume": ImageVolume,
    "shared-storage": SharedStorage,
    "node-local": NodeLocal,
    "kserve-cache": KServeCache,
}
"""By the words of `larder:cache.strategy`; the only place that picks a class."""


def deliver(strategy: str, demand: Demand, opts: pulumi.ResourceOptions) -> Weights:
    """Register what the strategy needs, and say what an engine has to mount."""
    return STRATEGIES[strategy](strategy, demand, opts).weights


__all__ = ["STRATEGIES", "CachingStrategy", "Demand", "EngineBuild", "Prune", "Weights", "WeightsConfig", "deliver"]
