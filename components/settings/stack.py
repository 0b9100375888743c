"""Base of the stack blocks: pool, models and resources of an engine."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from larder_sidecar.config.gateway import Pulls as PullsConfig
from pydantic import Field, ValidationInfo, field_validator

from .base import Block, Known
from .names import choices, did_you_mean
from .no_cache import NoCacheSettings
from .node_local import NodeLocalSettings
from .quantities import Cores, Size
from .strategies import STRATEGIES


class StackSettings(Block):
    """Base of the stack blocks, with the facts of each stack; a stack is deployed if its block is there."""

    NAME: ClassVar[str]
    """Its key under `larder:`."""
    HELP: ClassVar[str]
    """Description of its block for a stack file."""
    IMAGES: ClassVar[Mapping[str, str]]
    """The engines it may run, each with the description of its image in larder:images."""
    GATEWAY: ClassVar[bool] = True
    """True if Larder runs its engine, with a gateway in the same pod; False if KServe runs it."""
    FLOOR: ClassVar[Mapping[str, str]] = {}
    """Least default resources of its engine, whatever its models are: memory, cpu, requested."""

    pool: str
    """The pool in larder:node-pools whose nodes run the engine."""
    models: list[str] | None = Field(None, min_length=1)
    """Models of larder:models that it serves, by catalog id. Default: those that no other stack names."""
    memory: Size | None = None
    """Memory of the engine's container. Default: the needs of its models by the catalog, and the engine's own."""
    cpu: Cores | None = None
    """CPU request of the engine's container, as in 2 or 500m. Default: the largest need of its models."""

    @property
    def named(self) -> tuple[str, ...]:
        """Return the models that the block names."""
        return tuple(self.models or ())

    @property
    def replicated(self) -> int:
        """Return the number of its replicas."""
        return 1

    @property
    def pulling(self) -> bool:
        """Tell if clients may pull models of their own."""
        return False

    @property
    def upstream(self) -> tuple[str, str]:
        """Return the kind and the URL by which the front reaches its only pod."""
        return "gateway", f"http://{self.NAME}"

    def answered(self, models: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of its models that clients reach."""
        return models

    def pull_service(self, endpoint: str) -> PullsConfig | None:  # noqa: ARG002
        """Return the download service for the gateway's file, of the hub at `endpoint`."""
        return None

    def warnings(self) -> Iterator[str]:
        """Yield warnings about allowed settings."""
        yield from ()

    @property
    def runs(self) -> str:
        """Return the key of its engine in larder:images."""
        return self.NAME

    @field_validator("pool")
    @classmethod
    def _check_pool(cls, pool: str, info: ValidationInfo) -> str:
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
                f"pool {pool!r} ({choices(hosts)}) has none of the nodes where strategy {known.strategy!r} keeps the "
                f"weights ({choices(known.weights_hosts)}). Fix: choose a pool with one, or another place in "
                f"larder:cache.{known.strategy}."
            )
            raise ValueError(msg)
        return pool

    @field_validator("models")
    @classmethod
    def _check_models(cls, models: list[str] | None, info: ValidationInfo) -> list[str] | None:
        for model in models or ():
            refuse_foreign(model, info, by=cls.NAME)
        return models


class EngineStackSettings(StackSettings):
    """A stack whose pods each run one engine and a gateway."""

    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    """Pods with an engine each; the front sends a request to one that has its model loaded."""

    @property
    def replicated(self) -> int:
        """Return the number of its replicas."""
        return self.replicas

    @field_validator("pool")
    @classmethod
    def _check_mounted(cls, pool: str, info: ValidationInfo) -> str:
        known = Known.of(info)
        if known and known.strategy is not None and not STRATEGIES[known.strategy].MOUNTED:
            nearest = (NoCacheSettings if known.cluster and known.cluster.makes_machines else NodeLocalSettings).NAME
            msg = (
                f"strategy {known.strategy!r} brings weights into KServe's pods only, not into those of "
                f"larder:{cls.NAME}. Fix: choose {nearest} in larder:cache.strategy, or serve the model by "
                "larder:kserve."
            )
            raise ValueError(msg)
        return pool


def refuse_foreign(model: str, info: ValidationInfo, *, by: str) -> None:
    """Raise ValueError if larder:models does not list the model, or if another stack names it."""
    known = Known.of(info)
    if known is None or known.models is None:
        return
    if model not in (ids := [entry.id for entry in known.models]):
        msg = f"{model!r} is not among larder:models. {did_you_mean(model, ids)}Choices: {choices(ids)}."
        raise ValueError(msg)
    if (other := known.named.get(model, by)) != by:
        msg = f"larder:{other} names {model!r} too, but one stack serves a model. Fix: name it in one of them."
        raise ValueError(msg)
