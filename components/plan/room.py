"""Warnings about volumes and disks without room, and about replicas that share nodes."""

from collections.abc import Iterator

from ..settings import Settings
from ..settings.disks import disks
from ..settings.room import Place
from .plan import Plan


def places(settings: Settings) -> Iterator[Place]:
    """Yield every declared volume, and every disk that the strategy in force uses."""
    cache = settings.cache
    for block in cache.blocks:
        if size := block.volume_size:
            yield Place(setting=f"larder:cache.{block.NAME}.size", size=size)
    yield from disks(cache, settings.node_pools, settings.blocks)


def shortages(settings: Settings) -> Iterator[str]:
    """Yield a line for each place without room for the weights, the next model or an update."""
    models = {entry.id: entry.bytes for entry in settings.entries}
    for place in places(settings):
        if finding := place.finding(models):
            yield f"{place.setting}: {finding}"


def replicas_without_nodes(settings: Settings, plan: Plan) -> Iterator[str]:
    """Yield a line for each stack with more replicas than nodes that can reach the weights."""
    hosts = settings.weights_hosts
    for name, stack in plan.engines.items():
        if hosts is None or stack.replicas == 1:
            continue
        reached = [host for host in settings.node_pools[settings.blocks[name].pool].hosts or () if host in hosts]
        if stack.replicas > len(reached):
            yield (
                f"larder:{name}.replicas: {stack.replicas} replicas on {len(reached)} node(s) with the weights "
                f"({', '.join(reached)}): a failed node ends several of them. Fix: set replicas: {len(reached)}, or "
                "choose a strategy that every node of the pool reaches, such as shared-storage."
            )
