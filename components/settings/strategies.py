"""Registry of the caching strategies, by name."""

from .image_volume import ImageVolumeSettings
from .kserve_cache import KServeCacheSettings
from .no_cache import NoCacheSettings
from .node_local import NodeLocalSettings
from .prebuilt_image import PrebuiltImageSettings
from .shared_storage import SharedStorageSettings
from .strategy import StrategySettings

STRATEGIES: dict[str, type[StrategySettings]] = {
    strategy.NAME: strategy
    for strategy in (
        NoCacheSettings,
        PrebuiltImageSettings,
        ImageVolumeSettings,
        SharedStorageSettings,
        NodeLocalSettings,
        KServeCacheSettings,
    )
}
"""Class of each strategy's settings, in the order of lists of choices. components/caching has its component."""
