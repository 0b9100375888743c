"""Disks of the machines that Larder makes, as places for weights."""

from collections.abc import Iterator, Mapping
from math import ceil

from .cache import Cache
from .node_pools import NodePoolSettings
from .room import POD_COPY, POD_SLACK, Place
from .stack import StackSettings

USABLE = 0.85
"""With less than 15 % of the disk free the kubelet evicts pods: imagefs.available of its hard eviction, by default."""
TAKEN = 10 * 2**30
"""Bytes of a disk that the system and the images of engine and sidecar take. An estimate, not measured."""
IMAGE_COPIES = 2
"""Copies of the weights that an image takes on disk: the layers as pulled, and as containerd unpacks them."""


def disks(cache: Cache, pools: Mapping[str, NodePoolSettings], stacks: Mapping[str, StackSettings]) -> Iterator[Place]:
    """Yield a place for each pool of a cloud whose machines' own disk holds the weights under the strategy in force."""
    for name, pool in pools.items():
        here = [stack for stack in stacks.values() if stack.pool == name]
        if pool.instance is None or not here:
            continue
        if place := _disk(f"larder:node-pools.{name}.disk", cache, pool, here):
            yield place


def _disk(setting: str, cache: Cache, pool: NodePoolSettings, stacks: list[StackSettings]) -> Place | None:
    if cache.block.KEEPS == "image":
        why = "an image takes its size twice, as pulled and as unpacked, beside the system"
        return Place(setting=setting, size=pool.disk, usable=USABLE, copies=IMAGE_COPIES, beside=TAKEN, why=why)
    if cache.block.copies:
        # One pod more for each stack: in a rollout the old and the new pod run side by side.
        pods = sum(ceil(stack.replicated / pool.most) + 1 for stack in stacks)
        why = f"{pods} pods of a machine each keep a copy while one follows another, beside the system"
        beside = TAKEN + pods * POD_SLACK
        return Place(setting=setting, size=pool.disk, usable=USABLE, copies=pods * POD_COPY, beside=beside, why=why)
    if cache.block.KEEPS == "node":
        return Place(setting=setting, size=pool.disk, usable=USABLE, beside=TAKEN, why="beside the system")
    return None
