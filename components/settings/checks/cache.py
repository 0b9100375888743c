"""Checks of larder:cache: those of each strategy with a block."""

from collections.abc import Iterator

from ..problem import Problem, each
from ..stack_file import StackFile
from ..strategies import STRATEGIES
from ..strategy import StrategySettings


def check(file: StackFile) -> Iterator[Problem]:
    """Yield problems of each strategy's block, and more of the one in force."""
    yield from each(_in_force(file), *(_block(file, strategy) for strategy in STRATEGIES.values() if strategy.HELP))


def _block(file: StackFile, strategy: type[StrategySettings]) -> Iterator[Problem]:
    if block := file.settings.cache.of(strategy):
        yield from block.check(file)


def _in_force(file: StackFile) -> Iterator[Problem]:
    cache = file.settings.cache
    strategy = STRATEGIES[cache.strategy]
    if strategy.HELP and cache.of(strategy) is None:
        yield Problem(
            strategy.key(),
            f"is missing, but strategy {strategy.NAME!r} requires it. Fix: write {strategy.EXAMPLE}, or choose "
            "strategy none.",
        )
    else:
        yield from cache.block.check_in_force(file)
