"""Support of each strategy for each stack of a stack file: the settings are read once with every strategy."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import yaml
from larder_sidecar.config.base import Model
from pydantic import Field

from ..settings import Problem, Settings, SettingsError
from ..settings.sources import NAMESPACE
from ..settings.strategies import STRATEGIES
from .admission import about_weights
from .plan import make_plan

CACHE = f"{NAMESPACE}cache"
Status = Literal["in force", "works", "warns", "refused"]


class Verdict(Model):
    """Support of one strategy for one stack."""

    strategy: str
    stack: str
    status: Status
    reasons: list[str] = Field(default=[])
    """Problems of a refused strategy, or warnings; each with its remedy."""
    change: list[str] = Field(default=[])
    """Settings to write and commands to run; empty if the strategy is in force or refused."""
    swap: list[str] = Field(default=[])
    """Effects of the change on the running stack."""


Reading = Callable[[Mapping[str, Any]], Settings]
"""Reader of a config. Raises SettingsError."""


def support(config: Mapping[str, Any], settings: Settings, read: Reading) -> list[Verdict]:
    """Return a verdict for each strategy and stack. `settings` are those of `config`."""
    return [verdict for strategy in STRATEGIES for verdict in _verdicts(strategy, config, settings, read)]


def try_strategy(config: Mapping[str, Any], settings: Settings, strategy: str) -> dict[str, Any]:
    """Return the config with another strategy in force, and with an example of its block if it lacks one."""
    cache = {**config[CACHE], "strategy": strategy}
    block = STRATEGIES[strategy]
    if block.HELP and cache.get(strategy) is None:
        pools = {stack.pool for stack in settings.blocks.values()}
        hosts = [host for name, pool in settings.node_pools.items() for host in pool.hosts or () if name in pools]
        cache[strategy] = block.example(settings.entries, hosts)
    return {**config, CACHE: cache}


def _verdicts(strategy: str, config: Mapping[str, Any], settings: Settings, read: Reading) -> Iterator[Verdict]:
    attempt = try_strategy(config, settings, strategy)
    try:
        found = read(attempt)
    except SettingsError as error:
        for name in settings.blocks:
            reasons = _of(name, error.problems, settings) or error.problems
            # Problems of other stacks alone: this stack would work without them.
            yield Verdict(strategy=strategy, stack=name, status="refused", reasons=[*map(str, reasons)])
        return
    findings = list(about_weights(found, make_plan(found)))
    in_force = strategy == settings.cache.strategy
    for name in settings.blocks:
        status: Status = "in force" if in_force else "warns" if findings else "works"
        change = [] if in_force else _change(strategy, config, attempt)
        yield Verdict(strategy=strategy, stack=name, status=status, reasons=findings, change=change)


def _of(stack: str, problems: Sequence[Problem], settings: Settings) -> Sequence[Problem]:
    others = [block.key() for name, block in settings.blocks.items() if name != stack]
    return [problem for problem in problems if not any(map(problem.within, others))]


def _change(strategy: str, config: Mapping[str, Any], attempt: Mapping[str, Any]) -> list[str]:
    swap = f"pulumi config set --path {CACHE}.strategy {strategy}"
    if not STRATEGIES[strategy].HELP or config[CACHE].get(strategy) is not None:
        return [swap]
    block = yaml.safe_dump(attempt[CACHE][strategy], default_flow_style=True, width=10_000, sort_keys=False).strip()
    block = block.replace("0" * 64, "…")  # digest of an image that is not built yet
    return [f"write {strategy}: {block} under {CACHE}", swap]
