"""Findings about volumes and disks that are too small, each with its numbers, its setting and the smallest remedy."""

from collections.abc import Iterator

from ..settings import Settings
from ..settings.disks import disks
from ..settings.room import Place
from .plan import Plan


def places(settings: Settings) -> Iterator[Place]:
    """Yield every volume that is declared, and every disk that the strategy in force uses."""
    cache = settings.cache
    for block in cache.blocks:
        if size := block.volume_size:
            yield Place(setting=f"larder:cache.{block.NAME}.size", size=size)
    yield from disks(cache, settings.node_pools, settings.blocks)


def shortages(settings: Settings) -> Iterator[str]:
    """Yield a line for each place that is too small for the next model, or for what an update needs."""
    models = {entry.id: entry.bytes for entry in settings.entries}
    for place in places(settings):
        if finding := place.finding(models):
            yield f"{place.setting}: {finding}"


def crowding(settings: Settings, plan: Plan) -> Iterator[str]:
    """Yield a line for each stack with more replicas than nodes that reach the weights."""
    hosts = settings.weights_hosts
    for name, stack in plan.engines.items():
        if hosts is None or stack.replicas == 1:
            continue
        reached = [host for host in settings.node_pools[settings.blocks[name].pool].hosts or () if host in hosts]
        if stack.replicas > len(reached):
            yield (
                f"larder:{name}.replicas: {stack.replicas} replicas on {len(reached)} node(s) with the weights "
                f"({', '.join(reached)}): a node that fails takes several of them. Set replicas: {len(reached)}, or "
                "choose a strategy that every node of the pool reaches, such as shared-storage."
            )
