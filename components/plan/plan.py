"""What the settings come down to: the files the sidecar reads, the engine's size, the time it may all take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.cors import Cors
from larder_sidecar.config.gateway import MOVING, Auth, Engine, GatewayConfig, Limits, Pulls
from larder_sidecar.config.manager import InferenceService
from larder_sidecar.config.routing import Routing
from larder_sidecar.config.weights import WeightsPlan

from ..names import (
    ADDRESSES,
    CLIENTS,
    HOLD_SECONDS,
    INFERENCE_ANNOTATIONS,
    INFERENCE_SERVICE,
    ONE_AT_A_TIME,
    TOKENS,
    Kind,
)
from ..settings import Settings
from ..settings.kserve import KServe
from ..settings.manager import Inference
from ..settings.ollama import Ollama
from ..settings.residency import LONGEST_WAIT
from ..settings.shimmy import Shimmy
from ..settings.weights_plan import weights_plan
from .sizing import EngineResources, engine_resources, predictor_resources

_BEHIND_THE_FRONT: Mapping[str, tuple[Literal["gateway", "vllm"], str]] = {
    "ollama": ("gateway", "http://ollama"),
    "shimmy": ("gateway", "http://shimmy"),
    "kserve": ("vllm", f"http://{INFERENCE_SERVICE}-predictor"),
}


@dataclass(frozen=True, kw_only=True)
class EnginePlan:
    """A stack of one engine and the gateway beside it."""

    models: tuple[CatalogEntry, ...]
    gateway: GatewayConfig
    """gateway.json beside the engine."""
    size: EngineResources
    replicas: int
    """Pods of it."""


@dataclass(frozen=True, kw_only=True)
class OllamaPlan(EnginePlan):
    """The Ollama stack."""

    stack: Ollama


@dataclass(frozen=True, kw_only=True)
class ShimmyPlan(EnginePlan):
    """The stack of llama-server or Shimmy."""

    stack: Shimmy


@dataclass(frozen=True, kw_only=True)
class KServePlan:
    """The KServe stack."""

    stack: KServe
    models: tuple[CatalogEntry, ...]
    """The active one; with a manager, those it may choose from."""
    size: EngineResources
    """What vLLM takes beside its GPUs."""
    context: int
    """Tokens of the context, prompt and answer together, that each of the models is served with."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is known before the first resource is registered."""

    weights: WeightsPlan
    """weights.json."""
    ollama: OllamaPlan | None
    shimmy: ShimmyPlan | None
    kserve: KServePlan | None
    front: GatewayConfig | None
    """gateway.json of the front, where there is one."""
    inference: InferenceService | None
    """What the manager applies, where its own block says so and not the KServe stack."""
    budget_seconds: int
    """The longest that moving all weights once may take."""

    @property
    def engines(self) -> dict[str, EnginePlan]:
        """The stacks with a gateway beside their engine, by their words under `larder:`."""
        stacks: dict[str, EnginePlan | None] = {"ollama": self.ollama, "shimmy": self.shimmy}
        return {name: stack for name, stack in stacks.items() if stack}


def make_plan(settings: Settings) -> Plan:
    """The plan of these settings; nothing in it can be refused any more."""
    weights = weights_plan(settings.entries, settings.hub.endpoint)
    manager = settings.manager
    return Plan(
        weights=weights,
        ollama=_ollama(settings, settings.ollama) if settings.ollama else None,
        shimmy=_shimmy(settings, settings.shimmy) if settings.shimmy else None,
        kserve=_kserve(settings, settings.kserve) if settings.kserve else None,
        front=_front(settings) if settings.front else None,
        inference=_inference(settings, manager.inference) if manager and manager.inference else None,
        budget_seconds=settings.budget_seconds(weights.total_bytes()),
    )


def _ollama(settings: Settings, stack: Ollama) -> OllamaPlan:
    models = settings.stacks["ollama"]
    gateway = _beside(settings, "ollama", models)
    size = engine_resources(stack, models, most_loaded(gateway))
    return OllamaPlan(stack=stack, models=models, gateway=gateway, size=size, replicas=stack.replicas)


def _shimmy(settings: Settings, stack: Shimmy) -> ShimmyPlan:
    models = settings.stacks["shimmy"]
    gateway = _beside(settings, stack.engine, models, _pulls(settings, stack))
    size = engine_resources(stack, models, most_loaded(gateway))
    return ShimmyPlan(stack=stack, models=models, gateway=gateway, size=size, replicas=stack.replicas)


def _beside(
    settings: Settings, kind: Kind, models: tuple[CatalogEntry, ...], pulls: Pulls | None = None
) -> GatewayConfig:
    """gateway.json of the gateway in an engine's pod."""
    moved = weights_plan(models, settings.hub.endpoint).total_bytes()
    ids = [entry.id for entry in models]
    return GatewayConfig(
        place="behind" if settings.front else "alone",
        engines=[Engine(kind=kind, url=f"http://{ADDRESSES[kind]}")],
        models=settings.gateway.served(models),
        pulls=pulls,
        routing=_routing(settings) if not settings.front else Routing(),
        residency=(
            settings.gateway.residency.rules(ids, load_seconds=settings.budget_seconds(moved), more=pulls is not None)
            if kind in MOVING
            else None
        ),
        auth=_auth(settings),
        cors=Cors() if settings.front else settings.gateway.cors.rules,
        limits=Limits(hold_seconds=HOLD_SECONDS),
    )


def _auth(settings: Settings) -> Auth:
    token = f"{TOKENS}/api/token" if settings.gateway_secret else None
    return Auth(mutations=settings.gateway.auth.mutations, token_file=token)


def most_loaded(gateway: GatewayConfig) -> int | None:
    """Models that are loaded at one time at the most; None where nobody but the engine keeps to a number."""
    return gateway.residency.max_models if gateway.residency else None


def _pulls(settings: Settings, stack: Shimmy) -> Pulls | None:
    block = stack.pulls
    if block is None:
        return None
    return Pulls(
        endpoint=settings.hub.endpoint,
        hub_token_file=f"{TOKENS}/hub/token" if block.hub_secret else None,
    )


def _kserve(settings: Settings, stack: KServe) -> KServePlan:
    models = settings.stacks["kserve"]
    return KServePlan(
        stack=stack,
        models=models,
        size=predictor_resources(stack, models),
        # The least of all: the GPU that holds the weights and cache of one has room for those of the next.
        context=min(entry.context for entry in models),
    )


def _routing(settings: Settings) -> Routing:
    """For the gateway that clients reach."""
    return Routing(default=settings.default_model, rules=settings.gateway.routing.rules)


def _front(settings: Settings) -> GatewayConfig:
    """Services by their short names: the front lives in their namespace."""
    return GatewayConfig(
        place="front",
        engines=[
            Engine(
                name=stack,
                kind=kind,
                # The pods' own port: behind a headless Service there is no other.
                url=f"{url}-replicas:{CLIENTS}" if settings.replicas(stack) > 1 else url,
                models=[entry.id for entry in settings.stacks[stack]],
                replicated=settings.replicas(stack) > 1,
            )
            for stack, (kind, url) in _BEHIND_THE_FRONT.items()
            if stack in settings.stacks
        ],
        models=settings.gateway.served(settings.served),
        routing=_routing(settings),
        auth=Auth(mutations=settings.gateway.auth.mutations),
        cors=settings.gateway.cors.rules,
        limits=Limits(hold_seconds=HOLD_SECONDS, response_seconds=_patience(settings)),
    )


def _patience(settings: Settings) -> float:
    """Of the front: longer than any gateway behind it lets a request wait for its model."""
    longest = settings.budget_seconds(weights_plan(settings.entries, settings.hub.endpoint).total_bytes())
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
