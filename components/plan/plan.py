"""The plan: the files that the sidecar reads, the engines' resources and the time budget, from the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.cors import Cors
from larder_sidecar.config.engines import ENGINES
from larder_sidecar.config.gateway import Auth, Engine, GatewayConfig, Limits
from larder_sidecar.config.layout import CLIENTS, TOKENS
from larder_sidecar.config.manager import InferenceService
from larder_sidecar.config.routing import Routing
from larder_sidecar.config.weights import WeightsPlan

from ..names import (
    HOLD_SECONDS,
    INFERENCE_ANNOTATIONS,
    INFERENCE_SERVICE,
    ONE_AT_A_TIME,
)
from ..settings import Settings
from ..settings.kserve import KServeSettings
from ..settings.manager import Inference
from ..settings.residency import LONGEST_WAIT
from ..settings.stack import StackSettings
from ..settings.weights_plan import weights_plan
from .sizing import EngineResources, engine_resources, predictor_resources

S = TypeVar("S", bound=StackSettings, covariant=True)


@dataclass(frozen=True, kw_only=True)
class StackPlan(Generic[S]):
    """The plan of a deployed stack."""

    stack: S
    image: str
    """The image of its engine."""
    models: tuple[CatalogEntry, ...]
    """Models that it serves; with a manager, models that the manager may activate."""
    size: EngineResources
    """Resources of the engine's container."""


@dataclass(frozen=True, kw_only=True)
class EnginePlan(StackPlan[S]):
    """The plan of a stack of one engine with a gateway in its pod."""

    gateway: GatewayConfig
    """gateway.json of the engine's own gateway."""
    replicas: int
    """Number of its pods."""


@dataclass(frozen=True, kw_only=True)
class KServePlan(StackPlan[KServeSettings]):
    """The plan of the KServe stack; `size` holds the resources of vLLM without its GPUs."""

    context: int
    """Context of each served model in tokens, prompt and answer together."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All values that are computed before the first resource is registered."""

    weights: WeightsPlan
    """weights.json."""
    stacks: Mapping[str, StackPlan[StackSettings]]
    """Plans of the deployed stacks, by their keys under `larder:`."""
    front: GatewayConfig | None
    """gateway.json of the front; None without a front."""
    inference: InferenceService | None
    """The InferenceService of the manager's own block; None if larder:kserve describes it."""
    budget_seconds: int
    """Limit in seconds for one transfer of all weights."""

    @property
    def engines(self) -> dict[str, EnginePlan[StackSettings]]:
        """Return the stacks with a gateway in the engine's pod, by their keys."""
        return {name: stack for name, stack in self.stacks.items() if isinstance(stack, EnginePlan)}

    @property
    def kserve(self) -> KServePlan | None:
        """Return the KServe stack."""
        return next((stack for stack in self.stacks.values() if isinstance(stack, KServePlan)), None)


def make_plan(settings: Settings) -> Plan:
    """Return the plan of these settings, which are valid."""
    weights = settings.weights
    manager = settings.manager
    return Plan(
        weights=weights,
        stacks={name: _stack(settings, block) for name, block in settings.blocks.items()},
        front=_front(settings) if settings.front else None,
        inference=_inference(settings, manager.inference) if manager and manager.inference else None,
        budget_seconds=settings.budget_seconds(weights.total_bytes()),
    )


def _stack(settings: Settings, block: StackSettings) -> StackPlan[StackSettings]:
    models, image = settings.stacks[block.NAME], settings.images.of(block.runs)
    if isinstance(block, KServeSettings):
        return KServePlan(
            stack=block,
            image=image,
            models=models,
            size=predictor_resources(block, models),
            # The smallest context: the GPU holds the weights and the cache of any model, one at a time.
            context=min(entry.context for entry in models),
        )
    gateway = _beside(settings, block, models)
    size = engine_resources(block, models, max_loaded_models(gateway))
    return EnginePlan(stack=block, image=image, models=models, size=size, gateway=gateway, replicas=block.replicated)


def _beside(settings: Settings, block: StackSettings, models: tuple[CatalogEntry, ...]) -> GatewayConfig:
    """Return gateway.json of the gateway in an engine's pod."""
    moved = weights_plan(models, settings.hub.endpoint).total_bytes()
    ids = [entry.id for entry in models]
    engine = ENGINES[block.runs]
    return GatewayConfig(
        place="behind" if settings.front else "alone",
        engines=[Engine(kind=block.runs, url=f"http://{engine.address}")],
        models=settings.gateway.served(models),
        pulls=block.pull_service(settings.hub.endpoint),
        routing=_routing(settings) if not settings.front else Routing(),
        residency=(
            settings.gateway.residency.rules(ids, load_seconds=settings.budget_seconds(moved), more=block.pulling)
            if engine.loads_on_demand
            else None
        ),
        auth=_auth(settings),
        cors=Cors() if settings.front else settings.gateway.cors.rules,
        limits=Limits(hold_seconds=HOLD_SECONDS),
    )


def _auth(settings: Settings) -> Auth:
    token = f"{TOKENS}/api/token" if settings.gateway_secret else None
    return Auth(mutations=settings.gateway.auth.mutations, token_file=token)


def max_loaded_models(gateway: GatewayConfig) -> int | None:
    """Return the largest number of models loaded at one time; None if the gateway sets no limit."""
    return gateway.residency.max_models if gateway.residency else None


def _routing(settings: Settings) -> Routing:
    """Return the routing of the gateway that clients reach."""
    return Routing(default=settings.default_model, rules=settings.gateway.routing.rules)


def _front(settings: Settings) -> GatewayConfig:
    """Return gateway.json of the front, which names Services of its own namespace by their short names."""
    return GatewayConfig(
        place="front",
        engines=[_behind(settings, block) for block in settings.blocks.values()],
        models=settings.gateway.served(settings.served),
        routing=_routing(settings),
        auth=Auth(mutations=settings.gateway.auth.mutations),
        cors=settings.gateway.cors.rules,
        limits=Limits(hold_seconds=HOLD_SECONDS, response_seconds=_front_timeout(settings)),
    )


def _behind(settings: Settings, block: StackSettings) -> Engine:
    (kind, url), several = block.upstream, block.replicated > 1
    return Engine(
        name=block.NAME,
        kind=kind,
        # A headless Service maps no ports, so this is the pods' own.
        url=f"{url}-replicas:{CLIENTS}" if several else url,
        models=[entry.id for entry in settings.stacks[block.NAME]],
        replicated=several,
    )


def _front_timeout(settings: Settings) -> float:
    """Return the front's response timeout in seconds, longer than a request waits at a gateway behind it."""
    longest = settings.budget_seconds(settings.weights.total_bytes())
    return min(max(Limits().response_seconds, longest + HOLD_SECONDS), LONGEST_WAIT)


def _inference(settings: Settings, block: Inference) -> InferenceService:
    return InferenceService(
        namespace=settings.cluster.namespace,
        name=INFERENCE_SERVICE,
        annotations=INFERENCE_ANNOTATIONS,
        predictor={
            **ONE_AT_A_TIME,
            "model": {"modelFormat": {"name": block.model_format}, "runtime": block.runtime},
        },
        storage_uri=block.storage_uri,
        args=block.args,
    )
