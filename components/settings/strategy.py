"""The base of the caching strategies' settings: each class has every fact that others ask about its strategy."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from larder_sidecar.catalog import CatalogEntry

from ..names import POPULATE
from .base import Block, Known
from .prune import Prune
from .quantities import size_bytes
from .room import Place

Keeps = Literal["pod", "image", "node", "share"]
"""The place where weights stay: in each pod, as images of the nodes, on disks of nodes, on a volume of many nodes."""
START = "the pod's termination message"
"""The place where an engine's pod says what its fetch lacks."""


@dataclass(frozen=True)
class Need:
    """One thing that a strategy needs from the cluster."""

    what: str
    """The thing; {sources} stands for the origins of the models, {copy} for the size of a pod's copy of them."""
    checked: str
    """The place where its absence is noticed."""


@dataclass(frozen=True)
class Made:
    """A resource that a swap creates or replaces."""

    kind: str
    name: str


class StrategySettings(Block, ABC):
    """The block of one strategy in larder:cache, and the facts of that strategy."""

    NAME: ClassVar[str]
    """Its word in larder:cache.strategy, and the key of its block."""
    KEEPS: ClassVar[Keeps]
    NEEDS: ClassVar[tuple[Need, ...]]
    HELP: ClassVar[str] = ""
    """Description of its block for a stack file; empty for a strategy without settings, which has no block."""
    EXAMPLE: ClassVar[str] = ""
    """Text to write where the block is missing."""
    ALWAYS: ClassVar[bool] = False
    """True if the block is at work while it is there, whichever strategy is in force."""
    MOUNTED: ClassVar[bool] = True
    """True if it brings weights into pods of ours; else KServe's pods alone find them."""
    GIVES_URI: ClassVar[bool] = False
    """True if it can hand KServe one model by a URI."""
    PUBLISHED: ClassVar[Literal["weights", "engine"] | None] = None
    """The images that `larder-sidecar publish` makes for it: of weights, or of the engine with the weights inside."""

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
        """Return a block that stands in until `make up` has published the weights; None where it publishes none."""
        return None

    @classmethod
    @abstractmethod
    def fetched(cls, made: Sequence[Made]) -> str:
        """Say who fetches the weights in a swap to this strategy that makes these resources, and when."""

    @abstractmethod
    def place(self, total: int) -> str:
        """Say in the words of a plan where `total` bytes of weights are."""

    def check(self, known: Known) -> None:
        """Refuse what the strategy cannot work with. Raises ValueError."""

    @property
    def copies(self) -> bool:
        """Tell whether every pod keeps the weights for itself, on its node's disk."""
        return self.KEEPS == "pod"

    @property
    def volume_size(self) -> str | None:
        """Return the size of the data volume that stays while the block is there; None without one."""
        return None

    @property
    def pruning(self) -> Prune | None:
        """Return which plans the volume may forget."""
        return None

    def hosts(self, pools: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:  # noqa: ARG002
        """Return the only nodes that can reach the weights, None for all; `pools` with the hosts of each."""
        return None

    def pool_problems(self, pool: str, labels: Mapping[str, str]) -> Iterator[str]:  # noqa: ARG002
        """Yield why KServe's pool of this name and these labels of nodes cannot have the weights."""
        yield from ()

    def warnings(self, kubernetes: tuple[int, int] | None) -> Iterator[str]:  # noqa: ARG002
        """Yield what is worth a second look on a cluster of this version, None where nobody stated it."""
        yield from ()

    def later(self) -> Iterator[str]:
        """Yield which image has no digest before `up`: its path in the block, and why."""
        yield from ()


def populates(made: Sequence[Made]) -> str:
    """Name the Jobs that fill volumes among what a swap makes."""
    jobs = [one.name for one in made if one.kind == "Job" and one.name.startswith(POPULATE)]
    return f"by {', '.join(jobs)} before any pod is moved; nothing where the volume has it already"


PULLED = "by the runtime of each node, as an image, proved by Job preflight before any pod is moved"


def refuse_too_small(size: str, known: Known) -> None:
    """Refuse a volume that cannot hold the weights of larder:models. Raises ValueError."""
    models = {entry.id: entry.bytes for entry in known.models or ()}
    place = Place(setting="size", size=size)
    if place.cannot_hold(sum(models.values())):
        msg = f"size: {place.finding(models)}"
        raise ValueError(msg)


def share(total: int, size: str) -> str:
    """Say which part of a volume `total` bytes are, as in `3% of its 20Gi`."""
    return f"{total / size_bytes(size):.0%} of its {size}"
