"""larder:node-pools: the machines that engines may run on."""

from typing import Annotated

from pydantic import Field

from .base import Block

PoolName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")]
Host = Annotated[
    str, Field(max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")
]
"""A node's name, which Kubernetes repeats in its label kubernetes.io/hostname; a label has 63 characters."""


class NodePool(Block):
    """A named set of nodes."""

    hosts: list[Host] = Field(min_length=1)
    """Names of the nodes (label kubernetes.io/hostname) that make up the pool."""


NodePools = Annotated[dict[PoolName, NodePool], Field(min_length=1)]
