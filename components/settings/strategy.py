"""Base of the caching strategies' settings. Each class holds all facts of its strategy."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from larder_sidecar.catalog import CatalogEntry

from .base import Block
from .problem import Problem, each
from .prune import Prune, forgets_own
from .quantities import size_bytes
from .room import Place
from .sources import NAMESPACE

if TYPE_CHECKING:
    from .stack_file import StackFile

Keeps = Literal["pod", "image", "node", "share"]
"""Place of the weights: in each pod, as images on nodes, on disks of nodes, or on a volume of many nodes."""
START = "the pod's termination message"
"""Place of the error if the fetch in an engine's pod fails."""


@dataclass(frozen=True)
class Need:
    """One thing that a strategy needs from the cluster."""

    what: str
    """The need in words, with {sources} for the origins of the models and {copy} for the size of a pod's copy."""
    checked: str
    """Check or place that shows that it is missing."""


@dataclass(frozen=True)
class Made:
    """A resource that a swap creates or replaces."""

    kind: str
    name: str
    role: str | None = None
    """Role of a Job."""


class StrategySettings(Block, ABC):
    """The block of one strategy in larder:cache, and the facts of that strategy."""

    NAME: ClassVar[str]
    """Its name in larder:cache.strategy, and the key of its block."""
    KEEPS: ClassVar[Keeps]
    NEEDS: ClassVar[tuple[Need, ...]]
    HELP: ClassVar[str] = ""
    """Description of its block for a stack file; empty for a strategy without settings, which has no block."""
    EXAMPLE: ClassVar[str] = ""
    """Text to write if the block is missing."""
    MOUNTED: ClassVar[bool] = True
    """True if it brings weights into Larder's own pods; False if it serves only KServe's."""
    GIVES_URI: ClassVar[bool] = False
    """True if it can give KServe the URI of a model."""
    PUBLISHED: ClassVar[Literal["weights", "engine"] | None] = None
    """Images that `larder-sidecar publish` makes for it: of weights, or of the engine with the weights inside."""

    @classmethod
    def key(cls) -> str:
        """Return the path of its block in a stack file."""
        return f"{NAMESPACE}cache.{cls.NAME}"

    @classmethod
    def page(cls) -> str:
        """Return the path of its documentation."""
        return f"docs/strategies/{cls.NAME}.md"

    @classmethod
    def example(cls, models: Sequence[CatalogEntry], hosts: Sequence[str]) -> dict[str, Any]:  # noqa: ARG003
        """Return a block that is right for these models and nodes, as a stack file has it."""
        return {}

    @classmethod
    def placeholder(cls, models: Sequence[str]) -> dict[str, Any] | None:  # noqa: ARG003
        """Return a block that stands in until `make up` has published the weights; None if it publishes none."""
        return None

    @classmethod
    @abstractmethod
    def fetched(cls, made: Sequence[Made]) -> str:
        """Describe the fetch of the weights in a swap to this strategy that makes these resources."""

    @abstractmethod
    def place(self, total: int) -> str:
        """Describe the place of `total` bytes of weights, for a plan."""

    def check(self, file: "StackFile") -> Iterator[Problem]:  # noqa: ARG002
        """Yield problems of the block, whichever strategy is in force."""
        yield from ()

    def check_in_force(self, file: "StackFile") -> Iterator[Problem]:
        """Yield problems of the block that count only while its strategy is in force."""
        yield from each(self.check_room(file), self.check_pruning(file))

    def check_room(self, file: "StackFile") -> Iterator[Problem]:
        """Yield a problem if the strategy's volume cannot hold the weights of larder:models."""
        if self.volume_size is not None:
            models = {entry.id: entry.bytes for entry in file.entries}
            place = Place(setting=f"{self.key()}.size", size=self.volume_size)
            if place.cannot_hold(sum(models.values())):
                yield Problem(place.setting, f"{place.finding(models)}")

    def check_pruning(self, file: "StackFile") -> Iterator[Problem]:
        """Yield a problem if `prune` names the plan in force."""
        if self.pruning and (finding := forgets_own(self.pruning, file.entries)):
            yield Problem(f"{self.key()}.prune.forget", finding)

    @property
    def copies(self) -> bool:
        """Tell if every pod keeps its own copy of the weights on its node's disk."""
        return self.KEEPS == "pod"

    @property
    def volume_size(self) -> str | None:
        """Return the size of the strategy's data volume; None without one."""
        return None

    @property
    def pruning(self) -> Prune | None:
        """Return the plans to prune from the volume."""
        return None

    def hosts(self, pools: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:  # noqa: ARG002
        """Return the only nodes that can reach the weights; None if all can. `pools` has the hosts of each pool."""
        return None

    def pool_problems(self, pool: str, labels: Mapping[str, str]) -> Iterator[Problem]:  # noqa: ARG002
        """Yield problems of KServe's pool, by its name and its nodes' labels, with the weights."""
        yield from ()

    def warnings(self, kubernetes: tuple[int, int] | None) -> Iterator[str]:  # noqa: ARG002
        """Yield warnings for a cluster of this version of Kubernetes; None if it is unknown."""
        yield from ()

    def later(self) -> Iterator[Problem]:
        """Yield each image without a digest before `up`, with the reason."""
        yield from ()


def populates(made: Sequence[Made]) -> str:
    """Name the Jobs that fill volumes, among the resources of a swap."""
    jobs = [one.name for one in made if one.role == "populate"] or ["no Job"]
    return f"by {', '.join(jobs)} before any pod is moved; nothing where the volume has it already"


PULLED = "by the runtime of each node, as an image, proved by Job preflight before any pod is moved"


def share(total: int, size: str) -> str:
    """Return the part of a volume that `total` bytes take, as in `3% of its 20Gi`."""
    return f"{total / size_bytes(size):.0%} of its {size}"
