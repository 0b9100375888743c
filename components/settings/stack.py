"""Base of the stack blocks: pool, models and resources of an engine."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from larder_sidecar.config.gateway import Pulls as PullsConfig
from pydantic import Field

from .base import Block
from .names import choices
from .no_cache import NoCacheSettings
from .node_local import NodeLocalSettings
from .node_pools import unknown_pool
from .problem import Problem, each
from .quantities import Cores, Size
from .served import not_listed
from .sources import NAMESPACE
from .strategies import STRATEGIES

if TYPE_CHECKING:
    from .stack_file import StackFile


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

    @classmethod
    def key(cls) -> str:
        """Return the path of its block in a stack file."""
        return f"{NAMESPACE}{cls.NAME}"

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

    def check(self, file: "StackFile") -> Iterator[Problem]:
        """Yield problems of the block with the pools, the strategy, the models and the other stacks."""
        yield from each(self._check_pool(file), self._check_place(file), self._check_models(file))

    def _check_pool(self, file: "StackFile") -> Iterator[Problem]:
        if self.pool not in file.settings.node_pools:
            yield unknown_pool(f"{self.key()}.pool", self.pool, file.settings.node_pools)

    def _check_place(self, file: "StackFile") -> Iterator[Problem]:
        """Yield a problem if no node of the pool reaches the weights."""
        hosts, strategy = file.settings.weights_hosts, file.settings.cache.strategy
        pool = file.settings.node_pools.get(self.pool)
        if hosts and pool and not {*hosts} & {*(pool.hosts or ())}:
            yield Problem(
                f"{self.key()}.pool",
                f"pool {self.pool!r} ({choices(pool.hosts or ())}) has none of the nodes where strategy {strategy!r} "
                f"keeps the weights ({choices(hosts)}). Fix: choose a pool with one, or another place in "
                f"larder:cache.{strategy}.",
            )

    def _check_models(self, file: "StackFile") -> Iterator[Problem]:
        for model in self.models or ():
            yield from self.check_own(file, f"{self.key()}.models", model)

    def check_own(self, file: "StackFile", path: str, model: str) -> Iterator[Problem]:
        """Yield a problem if larder:models does not list the model, or if a stack before this one names it."""
        if model not in (ids := [entry.id for entry in file.entries]):
            yield not_listed(path, model, ids)
        elif other := next((name for name, stack in file.before(self) if model in stack.named), None):
            yield Problem(
                path,
                f"larder:{other} names {model!r} too, but one stack serves a model. Fix: name it in one of them.",
            )


class EngineStackSettings(StackSettings):
    """A stack whose pods each run one engine and a gateway."""

    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    """Pods with an engine each; the front sends a request to one that has its model loaded."""

    @property
    def replicated(self) -> int:
        """Return the number of its replicas."""
        return self.replicas

    def check(self, file: "StackFile") -> Iterator[Problem]:
        """Yield a problem as well if the strategy brings no weights into pods of Larder."""
        yield from each(super().check(file), self._check_mounted(file))

    def _check_mounted(self, file: "StackFile") -> Iterator[Problem]:
        strategy = file.settings.cache.strategy
        if not STRATEGIES[strategy].MOUNTED:
            nearest = (NoCacheSettings if file.on_cloud else NodeLocalSettings).NAME
            yield Problem(
                f"{self.key()}.pool",
                f"strategy {strategy!r} brings weights into KServe's pods only, not into those of {self.key()}. "
                f"Fix: choose {nearest} in larder:cache.strategy, or serve the model by larder:kserve.",
            )
