"""What the blocks of the strategies in larder:cache share: what they are judged by when their strategy is in force."""

from abc import ABC, abstractmethod
from typing import ClassVar

from .base import Block, Known
from .quantities import readable, size_bytes


class StrategyBlock(Block, ABC):
    """The block of one strategy, under its name."""

    EXAMPLE: ClassVar[str]
    """What to write where the block is missing."""

    @abstractmethod
    def check(self, known: Known) -> None:
        """Raises ValueError where the strategy cannot work with what is known."""

    @abstractmethod
    def place(self, total: int) -> str:
        """Where `total` bytes of weights are, in the words of a plan."""


def refuse_too_small(size: str, known: Known) -> None:
    """Raises ValueError where a volume cannot hold the weights of larder:models."""
    planned = sum(entry.bytes for entry in known.models or ())
    if size_bytes(size) < planned:
        msg = (
            f"size {size} is smaller than the weights of larder:models ({readable(planned)}). "
            "Make the volume larger or serve fewer models."
        )
        raise ValueError(msg)


def share(total: int, size: str) -> str:
    """`3% of its 20Gi`."""
    return f"{total / size_bytes(size):.0%} of its {size}"
