"""The caching strategies there are, by their words: what a stack file may choose from."""

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
"""In the order in which choices are listed. components/caching has the component of each."""
