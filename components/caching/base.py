"""The contract between strategies and engines: `Demand` is the input, `Weights` the output."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

import pulumi
from larder_sidecar.config.weights import WeightsPlan

from ..component import Component
from ..manifest import Container, Volume, VolumeMount, label_name
from ..node_pools import Placement
from ..settings import Settings
from ..settings.node_pools import Taint
from ..settings.strategy import StrategySettings
from .weights_config import WeightsConfig


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The weights that are wanted, and what a strategy may use to bring them."""

    plan: WeightsPlan
    config: WeightsConfig
    image: str
    """The sidecar image, whose `fetch` role fills a store."""
    folders: bool = False
    """True if an engine takes the files of one model from a folder of their own, by a URI."""
    budget_seconds: int
    """The longest time, in seconds, that fetching the whole plan may take."""
    namespace: pulumi.Input[str]
    placement: Placement | None = None
    """Placement of the pods of an engine; None if KServe alone runs them."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the URLs of the files."""
        return tuple(file.url for model in self.plan.models for file in model.files)


@dataclass(frozen=True, kw_only=True)
class Store:
    """A store on one of our volumes, with the mount for Jobs that change it."""

    word: str
    """The word that distinguishes it in the names of its Jobs; empty for the only store of a stack."""
    place: str
    """Its place, in the words of a description."""
    volume: Volume
    mount: VolumeMount
    host: str | None = None
    """The only node that reaches it, if there is one."""
    taints: tuple[Taint, ...] = ()

    def job(self, verb: str) -> str:
        """Return the name of a Job on it."""
        return label_name(verb, self.word) if self.word else verb


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The way that the weights of a plan reach `STORE` in an engine's pod."""

    strategy: str
    volumes: tuple[Volume, ...]
    """Named after the strategy: a volume that keeps its name and changes its kind fails the preview of a swap."""
    mounts: tuple[VolumeMount, ...]
    init_containers: tuple[Container, ...] = ()
    mmap: bool = True
    """False if an engine should read the files and not map them."""
    image: pulumi.Input[str] | None = None
    """The image that replaces the engine's own, if it holds the weights."""
    uri: str | None = None
    """The URI of the folder of a model for KServe, with {id} for its id, if folders were asked for."""
    uris: Mapping[str, str] = field(default_factory=dict)
    """URIs for KServe by model id, for models whose URI does not follow from the id."""
    hosts: tuple[str, ...] | None = None
    """The only nodes that reach the weights; None for all."""
    overlap: bool = True
    """True if the next pod may start before the last one is gone."""
    sources: tuple[str, ...] = ()
    """The URLs that the engine's pods download from."""
    wait_seconds: int = 0
    """The longest time, in seconds, that a pod waits for weights after its start."""
    ready: tuple[pulumi.Resource, ...] = ()
    """Resources that come before the engine."""
    stores: tuple[Store, ...] = ()
    """Stores that may keep weights of former plans, which a prune Job removes."""


S = TypeVar("S", bound=StrategySettings)
K = TypeVar("K")


class CachingStrategy(Component, ABC, Generic[S, K]):
    """One way to bring weights to engines, with settings S and prepared resources K.

    A subclass registers its resources and returns `weights`.
    """

    SETTINGS: ClassVar[type[StrategySettings]]
    """Its block and its facts."""

    def __init__(self, block: S, prepared: K, demand: Demand, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.SETTINGS.NAME, opts)
        self.weights = self.deliver(block, prepared, demand)
        self.register_outputs({"strategy": self.weights.strategy})

    @classmethod
    @abstractmethod
    def prepare(cls, settings: Settings, block: S, demand: Demand, opts: pulumi.ResourceOptions) -> K:
        """Declare resources that stay while the block exists, for any active strategy; return them for `deliver`."""

    @abstractmethod
    def deliver(self, block: S, prepared: K, demand: Demand) -> Weights:
        """Register the strategy's resources as children; return the weights that an engine mounts and waits for."""


class KeepsNothing(CachingStrategy[S, None]):
    """A strategy without resources that stay when another one is active."""

    @classmethod
    def prepare(cls, settings: Settings, block: S, demand: Demand, opts: pulumi.ResourceOptions) -> None:
        """Declare nothing."""
