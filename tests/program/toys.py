"""A strategy and an engine with its stack, as an extension adds them: settings with facts, and a component each."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any, ClassVar

import pulumi
import pytest
from larder_sidecar.config.engines import ENGINES, EngineFacts
from larder_sidecar.config.layout import STORE
from larder_sidecar.engines.adapter import COMMON, Adapter

from components import caching, serving
from components.caching.base import Demand, KeepsNothing, Weights
from components.plan.plan import EnginePlan
from components.serving.stack import EngineStack, Site
from components.serving.workload import EngineSpec
from components.settings import Settings, stacks, strategies
from components.settings.base import GrowingBlock, ObjectName
from components.settings.cache import Cache
from components.settings.images import Images
from components.settings.read import _shape
from components.settings.stack import EngineStackSettings
from components.settings.strategy import Made, Need, StrategySettings

STRATEGY, ENGINE, STACK = "toy-cache", "toy-engine", "toy"


class ToyCacheSettings(StrategySettings):
    """Settings of a claim that others fill."""

    NAME = STRATEGY
    KEEPS = "share"
    HELP = "A claim that somebody else fills; strategy toy-cache mounts it."
    EXAMPLE = "{claim}"
    NEEDS = (Need("a claim that holds the weights", "events of the pod: FailedMount"),)

    claim: ObjectName
    """The claim."""

    @classmethod
    def example(cls, models: Sequence[object], hosts: Sequence[str]) -> dict[str, Any]:
        return {"claim": "toys"}

    @classmethod
    def fetched(cls, made: Sequence[Made]) -> str:
        return "by somebody else"

    def place(self, total: int) -> str:
        return f"in claim {self.claim}"


class ToyCache(KeepsNothing[ToyCacheSettings]):
    """Weights in a claim that others fill."""

    TYPE = "larder:caching:ToyCache"
    SETTINGS = ToyCacheSettings

    def deliver(self, block: ToyCacheSettings, prepared: None, demand: Demand) -> Weights:
        volume = f"weights-{STRATEGY}"
        return Weights(
            strategy=STRATEGY,
            volumes=({"name": volume, "persistent_volume_claim": {"claim_name": block.claim}},),
            mounts=({"name": volume, "mount_path": STORE, "read_only": True},),
            ready=(demand.config.config_map,),
        )


class ToySettings(EngineStackSettings):
    """Settings of the stack with the toy engine."""

    NAME = STACK
    HELP = "The toy stack: {pool}. Deployed if it is there."
    IMAGES: ClassVar[Mapping[str, str]] = {ENGINE: "The image of the toy engine."}

    @property
    def runs(self) -> str:
        return ENGINE


class Toy(EngineStack[ToySettings]):
    """The toy engine serving the models."""

    TYPE = "larder:serving:Toy"
    SETTINGS = ToySettings

    def engine(
        self, engine: EngineSpec, plan: EnginePlan[ToySettings], site: Site
    ) -> tuple[EngineSpec, tuple[pulumi.Resource, ...]]:
        return replace(engine, args=("--listen", ENGINES[ENGINE].address)), ()


class ToyAdapter(Adapter):
    """Adapter of the toy engine."""

    kind = ENGINE
    health_path = "/health"
    paths = COMMON


FACTS = EngineFacts(adapter="toy.ToyAdapter", address="127.0.0.1:8082", listens_by="--listen")


def register(patch: pytest.MonkeyPatch) -> None:
    """Enter both into the registries, as a line in each does."""
    patch.setitem(strategies.STRATEGIES, STRATEGY, ToyCacheSettings)
    patch.setitem(caching.STRATEGIES, STRATEGY, ToyCache)
    patch.setitem(stacks.STACKS, STACK, ToySettings)
    patch.setitem(serving.STACKS, STACK, Toy)
    patch.setitem(ENGINES, ENGINE, FACTS)
    module = ModuleType("toy")
    module.ToyAdapter = ToyAdapter  # type: ignore[attr-defined]  # a module of a new file
    patch.setitem(sys.modules, "larder_sidecar.engines.toy", module)


@contextmanager
def registered() -> Iterator[pytest.MonkeyPatch]:
    """Register both, and have the settings that were made of the registries before made again.

    What a test changes in the registries besides, it changes by the patch that comes out, which is undone as one.
    """
    grown: tuple[type[GrowingBlock], ...] = (Cache, Images, Settings)
    before = [dict(block.__pydantic_fields__) for block in grown]
    with pytest.MonkeyPatch.context() as patch:
        try:
            register(patch)
            Cache.admit([ToyCacheSettings])
            Images.admit([ToySettings])
            Settings.admit([ToySettings])
            _shape.cache_clear()
            yield patch
        finally:
            for block, fields in zip(grown, before, strict=True):
                block.__pydantic_fields__ = fields
                block.model_rebuild(force=True)
            _shape.cache_clear()
