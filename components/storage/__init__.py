"""Data volumes: kept apart from the strategies that mount them, so that a swap never touches data."""

from .local_volume import LocalVolume
from .node_disks import NodeDisks
from .shared_volume import SharedVolume
from .volumes import DataVolumes

__all__ = ["DataVolumes", "LocalVolume", "NodeDisks", "SharedVolume"]
