"""Checks of a stack file beyond the shape of its blocks. Each yields problems, and changes nothing."""

from collections.abc import Callable, Iterator, Mapping

from ..problem import Problem, each
from ..stack_file import StackFile
from ..stacks import STACKS
from . import cache, gateway, manager, models, node_pools, stacks

_CHECKS: Mapping[str, Callable[[StackFile], Iterator[Problem]]] = {
    "node_pools": node_pools.check,
    "models": models.check,
    "cache": cache.check,
    "gateway": gateway.check,
    "manager": manager.check,
}
"""The check of each field of `Settings` that refers to others. Those of the stacks are methods of their blocks."""


def check_block(field: str, file: StackFile) -> list[Problem]:
    """Return the problems of a block with the blocks above it, one for each path."""
    found: dict[str, Problem] = {}
    for problem in each(_of_block(field, file)):
        found.setdefault(problem.path, problem)
    return list(found.values())


def check_stacks(file: StackFile) -> list[Problem]:
    """Return the problems of the stacks with each other, and with the images, the gateway and the disks."""
    return list(stacks.check(file))


def _of_block(field: str, file: StackFile) -> Iterator[Problem]:
    if field in _CHECKS:
        yield from _CHECKS[field](file)
    elif (stack := STACKS.get(field)) and (block := file.settings.of(stack)):
        yield from block.check(file)
