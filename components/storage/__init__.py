"""Data volumes, separate from the strategies that mount them, so that a swap never touches data."""

from .kserve_cache import KServeCache
from .local_volume import LocalVolume
from .node_disks import NodeDisks
from .shared_volume import SharedVolume

__all__ = ["KServeCache", "LocalVolume", "NodeDisks", "SharedVolume"]
