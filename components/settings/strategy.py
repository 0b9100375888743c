"""What the blocks of the strategies in larder:cache share: what they are judged by when their strategy is in force."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from larder_sidecar.catalog import CatalogEntry

from .base import Block, Known
from .quantities import size_bytes
from .room import Place


class StrategyBlock(Block, ABC):
    """The block of one strategy, under its name."""

    EXAMPLE: ClassVar[str]
    """What to write where the block is missing."""
    ALWAYS: ClassVar[bool] = False
    """Is it at work while it is there, whichever strategy is in force?"""

    @classmethod
    @abstractmethod
    def example(cls, models: Sequence[CatalogEntry], hosts: Sequence[str]) -> dict[str, Any]:
        """A block that is right for these models and nodes, as a stack file would have it."""

    @abstractmethod
    def check(self, known: Known) -> None:
        """Raises ValueError where the strategy cannot work with what is known."""

    @abstractmethod
    def place(self, total: int) -> str:
        """Where `total` bytes of weights are, in the words of a plan."""


def refuse_too_small(size: str, known: Known) -> None:
    """Raises ValueError where a volume cannot hold the weights of larder:models."""
    models = {entry.id: entry.bytes for entry in known.models or ()}
    place = Place(setting="size", size=size)
    if place.cannot_hold(sum(models.values())):
        msg = f"size: {place.finding(models)}"
        raise ValueError(msg)


def share(total: int, size: str) -> str:
    """`3% of its 20Gi`."""
    return f"{total / size_bytes(size):.0%} of its {size}"
