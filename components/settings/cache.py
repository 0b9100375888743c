"""larder:cache: how weights get to the engines, and the data volumes that stay whatever the strategy is."""

from collections.abc import Mapping, Sequence
from typing import Literal

from larder_sidecar.config.base import kebab
from pydantic import Field, ValidationInfo, field_validator

from .base import Block, Known
from .image_volume import ImageVolume
from .kserve_cache import KServeCache
from .node_local import NodeLocal
from .prebuilt_image import PrebuiltImage
from .prune import Prune
from .quantities import Bandwidth
from .shared_storage import SharedStorage
from .strategy import StrategyBlock

Strategy = Literal["none", "prebuilt-image", "image-volume", "shared-storage", "node-local", "kserve-cache"]


class Cache(Block):
    """One line swaps how weights reach the engine: `strategy`."""

    strategy: Strategy
    """How weights reach the engine: none, prebuilt-image, image-volume, shared-storage, node-local or kserve-cache."""
    min_bandwidth: Bandwidth = "20MiB/s"
    """The slowest download to wait for. Every deadline that depends on weights is bytes / min-bandwidth + 120 s."""
    node_local: NodeLocal | None = Field(None, validate_default=True)
    """The local volume. Declared and kept whatever the strategy is; strategy node-local mounts it."""
    shared_storage: SharedStorage | None = Field(None, validate_default=True)
    """The shared volume. Declared and kept whatever the strategy is; strategy shared-storage mounts it."""
    image_volume: ImageVolume | None = Field(None, validate_default=True)
    """Images of the weights; strategy image-volume mounts them."""
    prebuilt_image: PrebuiltImage | None = Field(None, validate_default=True)
    """The engine's image with the weights inside; strategy prebuilt-image runs it."""
    kserve_cache: KServeCache | None = Field(None, validate_default=True)
    """KServe's own cache. Declared and kept whatever the strategy is; strategy kserve-cache serves from it."""

    @property
    def block(self) -> StrategyBlock | None:
        """The block of the strategy in force; None where it needs none."""
        return getattr(self, field) if (field := BLOCKS.get(self.strategy)) else None

    @property
    def volumes(self) -> dict[str, NodeLocal | SharedStorage | KServeCache]:
        """The volumes that are declared, whatever the strategy is, by its word."""
        names = ("node-local", "shared-storage", "kserve-cache")
        return {name: block for name in names if (block := getattr(self, BLOCKS[name]))}

    @property
    def prune(self) -> Prune | None:
        """What the volume in force may lose."""
        return self.block.prune if isinstance(self.block, NodeLocal | SharedStorage) else None

    @property
    def copies_into_pods(self) -> bool:
        """Does every pod keep the weights for itself, on its node's disk?"""
        shared = self.shared_storage if self.strategy == "shared-storage" else None
        return self.strategy == "none" or (shared is not None and shared.read == "copy")

    @property
    def keeps_in_images(self) -> bool:
        """Do the nodes keep the weights as images?"""
        return self.strategy in ("image-volume", "prebuilt-image")

    def weights_hosts(self, pools: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
        """The only nodes that can reach the weights, None where all can; `pools` with the hosts of each."""
        return self.node_local.hosts(pools) if self.strategy == "node-local" and self.node_local else None

    @field_validator("node_local", "shared_storage", "image_volume", "prebuilt_image", "kserve_cache")
    @classmethod
    def _fits_the_strategy(cls, block: StrategyBlock | None, info: ValidationInfo) -> StrategyBlock | None:
        name = info.field_name or ""
        in_force = info.data.get("strategy") == kebab(name)
        if block is None and in_force:
            example = _EXAMPLES[name]
            msg = f"is missing, and strategy {kebab(name)!r} needs it. Write {example}, or choose strategy none."
            raise ValueError(msg)
        if block is not None and (in_force or block.ALWAYS) and (known := Known.of(info)):
            block.check(known)
        return block


STRATEGY_BLOCKS: Mapping[str, type[StrategyBlock]] = {
    "node-local": NodeLocal,
    "shared-storage": SharedStorage,
    "image-volume": ImageVolume,
    "kserve-cache": KServeCache,
    "prebuilt-image": PrebuiltImage,
}
"""The block that a strategy needs, by its word; strategies that are not here need none."""
BLOCKS = {name: name.replace("-", "_") for name in STRATEGY_BLOCKS}
_EXAMPLES = {BLOCKS[name]: block.EXAMPLE for name, block in STRATEGY_BLOCKS.items()}
