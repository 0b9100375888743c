"""The contract between strategies and engines: `Demand` goes in, `Weights` comes out, and neither side knows more."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import pulumi
from larder_sidecar.config.weights import WeightsPlan

from ..component import Component
from ..manifest import Container, Volume, VolumeMount, label_name
from ..node_pools import Placement
from ..settings.node_pools import Taint
from ..settings.prebuilt_image import Build
from ..storage import DataVolumes
from .weights_config import WeightsConfig

STORE = "/weights/ollama"
"""Where an engine finds its weights under every strategy: OLLAMA_MODELS, holding blobs/, manifests/ and .larder/."""


@dataclass(frozen=True, kw_only=True)
class EngineBuild:
    """An image of an engine, and what is made of it."""

    engine: str
    """The image without weights."""
    build: Build


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Which weights are wanted, and what a strategy may use to get them there."""

    plan: WeightsPlan
    config: WeightsConfig
    image: str
    """The sidecar image, whose `fetch` role fills a store."""
    folders: bool = False
    """Does an engine want the files of one model in a folder of their own, by a URI?"""
    budget_seconds: int
    """The longest that fetching the whole plan may take."""
    namespace: pulumi.Input[str]
    volumes: DataVolumes
    placement: Placement | None = None
    """Where the pods of an engine will run; None where KServe has them alone."""
    images: Mapping[str, str] | None = None
    """Images of the weights by model, where the settings name them."""
    engine_image: str | None = None
    """Image of the engine with the weights inside, where the settings name it."""
    engine_build: EngineBuild | None = None
    """How that image is built, where the settings say so."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The URLs that weights come from."""
        return tuple(file.url for model in self.plan.models for file in model.files)


T = TypeVar("T")


def needed(part: T | None, strategy: str) -> T:
    """The part of a demand that `strategy` cannot do without. Raises ValueError."""
    if part is None:
        # Settings have refused this already; whoever builds a Demand by hand is told the same.
        msg = f"larder:cache.{strategy}: is missing, and strategy {strategy!r} needs it."
        raise ValueError(msg)
    return part


@dataclass(frozen=True, kw_only=True)
class Store:
    """A store on a volume of ours, as the Jobs that change it mount it."""

    word: str
    """What tells it from others of the stack, in the names of its Jobs; empty where it is the only one."""
    place: str
    """Where it is, in a description."""
    volume: Volume
    mount: VolumeMount
    host: str | None = None
    """The only node that reaches it."""
    taints: tuple[Taint, ...] = ()

    def job(self, verb: str) -> str:
        """The name of a Job on it."""
        return label_name(verb, self.word) if self.word else verb


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How the weights of the plan get to `STORE` in an engine's pod."""

    strategy: str
    volumes: tuple[Volume, ...]
    """Named after the strategy: a volume that keeps its name and changes its kind fails the preview of a swap."""
    mounts: tuple[VolumeMount, ...]
    init_containers: tuple[Container, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    image: pulumi.Input[str] | None = None
    """In place of the engine's own image, where the weights are inside."""
    uri: str | None = None
    """Where KServe finds the folder of one model, {id} standing for its id, where folders were asked for."""
    uris: Mapping[str, str] = field(default_factory=dict)
    """Where KServe finds each model by its id, where that does not follow from it."""
    hosts: tuple[str, ...] | None = None
    """The only nodes that can reach the weights; None for all."""
    overlap: bool = True
    """May the next pod start before the last one is gone?"""
    sources: tuple[str, ...] = ()
    """The URLs that the engine's own pods download from."""
    wait_seconds: int = 0
    """How long a pod may be without weights after its start."""
    ready: tuple[pulumi.Resource, ...] = ()
    """What has to be there before the engine."""
    stores: tuple[Store, ...] = ()
    """Where the weights stay when nobody wants them any more."""


class CachingStrategy(Component, ABC):
    """One way to bring weights to engines. A subclass registers what it needs and answers `weights`."""

    def __init__(self, name: str, demand: Demand, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.weights = self.deliver(demand)
        self.register_outputs({"strategy": self.weights.strategy})

    @abstractmethod
    def deliver(self, demand: Demand) -> Weights:
        """Register the strategy's resources as children, and say what an engine mounts and waits for."""
