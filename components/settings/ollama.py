"""larder:ollama: the Ollama stack."""

from pydantic import ValidationInfo, field_validator

from .base import Block, Known
from .names import choices, did_you_mean
from .quantities import Cores, Size


class Ollama(Block):
    """Where the Ollama engine runs and what it may take."""

    pool: str
    """The pool in larder:node-pools whose nodes run the engine."""
    memory: Size | None = None
    """Memory of the engine's container. Default: what the catalog says its models need, and the engine itself."""
    cpu: Cores | None = None
    """CPU request of the engine's container, as in 2 or 500m. Default: the most that one of its models needs."""

    @field_validator("pool")
    @classmethod
    def _pool_is_declared(cls, pool: str, info: ValidationInfo) -> str:
        known = Known.of(info)
        if known and known.pools is not None and pool not in known.pools:
            msg = (
                f"no pool {pool!r} in larder:node-pools. {did_you_mean(pool, known.pools)}"
                f"Known pools: {choices(known.pools)}."
            )
            raise ValueError(msg)
        if known and known.pools and known.weights_host and known.weights_host not in (hosts := known.pools[pool]):
            msg = (
                f"pool {pool!r} ({choices(hosts)}) does not hold node {known.weights_host!r}, "
                "where strategy 'node-local' keeps the weights. "
                "Choose the pool of that node, or another node in larder:cache.node-local."
            )
            raise ValueError(msg)
        return pool
