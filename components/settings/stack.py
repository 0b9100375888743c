"""What every stack says: where its engine runs, what it may take, and which models are its own."""

from typing import Annotated, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from .base import Block, Known
from .names import choices, did_you_mean
from .no_cache import NoCacheSettings
from .node_local import NodeLocalSettings
from .quantities import Cores, Size
from .strategies import STRATEGIES


class Stack(Block):
    """Base of the stack blocks; a stack is deployed if its block is there."""

    NAME: ClassVar[str]
    """Its word under `larder:`."""

    pool: str
    """The pool in larder:node-pools whose nodes run the engine."""
    models: list[str] | None = Field(None, min_length=1)
    """Its part of larder:models, by catalog id. Default: those that no other stack names."""
    memory: Size | None = None
    """Memory of the engine's container. Default: what the catalog says its models need, and the engine itself."""
    cpu: Cores | None = None
    """CPU request of the engine's container, as in 2 or 500m. Default: the most that one of its models needs."""

    @property
    def named(self) -> tuple[str, ...]:
        """The models that it names as its own."""
        return tuple(self.models or ())

    @property
    def runs(self) -> str:
        """Its engine, by the word that larder:images has for it."""
        return self.NAME

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
        if (
            known
            and known.pools
            and known.weights_hosts
            and not ({*known.weights_hosts} & {*(hosts := known.pools[pool])})
        ):
            msg = (
                f"pool {pool!r} ({choices(hosts)}) holds no node where strategy {known.strategy!r} keeps the weights "
                f"({choices(known.weights_hosts)}). Choose a pool that does, or another place in "
                f"larder:cache.{known.strategy}."
            )
            raise ValueError(msg)
        return pool

    @field_validator("models")
    @classmethod
    def _models_are_its_own(cls, models: list[str] | None, info: ValidationInfo) -> list[str] | None:
        for model in models or ():
            refuse_foreign(model, info, by=cls.NAME)
        return models


class ReplicatedStack(Stack):
    """One whose engine may stand there several times."""

    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    """Pods with an engine each; the front sends a request to one that has its model loaded."""

    @field_validator("pool")
    @classmethod
    def _weights_come_into_a_pod_of_ours(cls, pool: str, info: ValidationInfo) -> str:
        known = Known.of(info)
        if known and known.strategy is not None and not STRATEGIES[known.strategy].MOUNTED:
            nearest = (NoCacheSettings if known.cluster and known.cluster.makes_machines else NodeLocalSettings).NAME
            msg = (
                f"strategy {known.strategy!r} keeps weights for pods of KServe alone, and those of larder:{cls.NAME} "
                f"are not: choose {nearest} in larder:cache.strategy, or serve the model by larder:kserve."
            )
            raise ValueError(msg)
        return pool


def refuse_foreign(model: str, info: ValidationInfo, *, by: str) -> None:
    """Refuse a model that larder:models does not list, or that another stack has named. Raises ValueError."""
    known = Known.of(info)
    if known is None or known.models is None:
        return
    if model not in (ids := [entry.id for entry in known.models]):
        msg = f"{model!r} is not among larder:models. {did_you_mean(model, ids)}Choices: {choices(ids)}."
        raise ValueError(msg)
    if (other := known.named.get(model, by)) != by:
        msg = f"{model!r} is a model of larder:{other} already, and clients reach a model in one place. Name it in one."
        raise ValueError(msg)
