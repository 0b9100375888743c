"""larder:cache: the caching strategy in force, and the data volumes, which outlive a change of strategy."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from larder_sidecar.config.base import Choices
from pydantic import Field

from .base import GrowingBlock
from .prune import Prune
from .quantities import Bandwidth
from .strategies import STRATEGIES
from .strategy import StrategySettings

S = TypeVar("S", bound=StrategySettings)


class Cache(GrowingBlock):
    """The caching strategy in force, and a block for each strategy of the registry that has settings."""

    strategy: Annotated[str, Choices(STRATEGIES)] = Field(
        description=f"Caching strategy: {', '.join([*STRATEGIES][:-1])} or {[*STRATEGIES][-1]}."
    )
    min_bandwidth: Bandwidth = "20MiB/s"
    """The slowest download to wait for. Every deadline that depends on weights is bytes / min-bandwidth + 120 s."""

    @property
    def block(self) -> StrategySettings:
        """Return the settings of the strategy in force."""
        strategy = STRATEGIES[self.strategy]
        return self.of(strategy) or strategy()

    @property
    def blocks(self) -> list[StrategySettings]:
        """Return the blocks in the stack file, in force or not."""
        return [block for strategy in STRATEGIES.values() if (block := self.of(strategy))]

    def of(self, strategy: type[S]) -> S | None:
        """Return the block of a strategy; None if the stack file has none."""
        block = getattr(self, _field(strategy), None)
        return block if isinstance(block, strategy) else None

    @property
    def prune(self) -> Prune | None:
        """Return the plans to prune from the volume in force."""
        return self.block.pruning

    def weights_hosts(self, pools: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
        """Return the only nodes that can reach the weights; None if all can. `pools` has the hosts of each pool."""
        return self.block.hosts(pools)

    @classmethod
    def admit(cls, strategies: Iterable[type[StrategySettings]]) -> None:
        """Add a field for the block of each of these strategies."""
        fields: dict[str, tuple[Any, Any]] = {}
        for strategy in strategies:
            if strategy.HELP:
                field = Field(None, alias=strategy.NAME, description=_described(strategy))
                fields[_field(strategy)] = (strategy | None, field)
        cls.take(fields)


def _described(strategy: type[StrategySettings]) -> str:
    return f"{strategy.HELP} Default: none; required by strategy {strategy.NAME}."


def _field(strategy: type[StrategySettings]) -> str:
    return strategy.NAME.replace("-", "_")


Cache.admit(STRATEGIES.values())
