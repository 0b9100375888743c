"""What the settings come down to: the files the sidecar reads, the engine's size, the time it may all take."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.gateway import Auth, Engine, GatewayConfig
from larder_sidecar.config.manager import InferenceService, ManagerConfig, SyncedFolder
from larder_sidecar.config.weights import ModelWeights, OllamaRecipe, WeightsFile, WeightsPlan

from ..settings import Settings
from ..settings.kserve import KServe
from ..settings.manager import Manager
from ..settings.ollama import Ollama
from ..settings.quantities import bandwidth_bytes
from ..settings.root import SLACK_SECONDS
from .resources import EngineResources, ollama_resources, predictor_resources

FRONT = "front"
"""Name of the gateways before all stacks."""
INFERENCE_SERVICE = "active-llm"
"""The one InferenceService: it serves whichever model is active."""
OLLAMA_ADDRESS = "127.0.0.1:11434"
"""Loopback: nothing but the gateway of the same pod talks to Ollama."""


_BEHIND_THE_FRONT: Mapping[str, tuple[Literal["gateway", "vllm"], str]] = {
    "ollama": ("gateway", "http://ollama"),
    "kserve": ("vllm", f"http://{INFERENCE_SERVICE}-predictor"),
}


@dataclass(frozen=True, kw_only=True)
class OllamaPlan:
    """The Ollama stack."""

    stack: Ollama
    models: tuple[CatalogEntry, ...]
    gateway: GatewayConfig
    """gateway.json beside the engine."""
    size: EngineResources


@dataclass(frozen=True, kw_only=True)
class KServePlan:
    """The KServe stack."""

    stack: KServe
    model: CatalogEntry
    """The active one."""
    size: EngineResources
    """What vLLM takes beside its GPUs."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is known before the first resource is registered."""

    weights: WeightsPlan
    """weights.json."""
    ollama: OllamaPlan | None
    kserve: KServePlan | None
    front: GatewayConfig | None
    """gateway.json of the front, where there is one."""
    manager: ManagerConfig | None
    """manager.json, where the stack has a manager."""
    budget_seconds: int
    """The longest that moving all weights once may take."""


def make_plan(settings: Settings) -> Plan:
    """The plan of these settings; nothing in it can be refused any more."""
    weights = weights_plan(settings.entries, settings.hub.endpoint)
    return Plan(
        weights=weights,
        ollama=_ollama(settings, settings.ollama) if settings.ollama else None,
        kserve=_kserve(settings, settings.kserve) if settings.kserve else None,
        front=_front(settings) if settings.front else None,
        manager=_manager(settings, settings.manager) if settings.manager else None,
        budget_seconds=settings.budget_seconds(weights.total_bytes()),
    )


def _ollama(settings: Settings, stack: Ollama) -> OllamaPlan:
    models = settings.stacks["ollama"]
    default = settings.default_model
    gateway = GatewayConfig(
        place="behind" if settings.front else "alone",
        engines=[Engine(kind="ollama", url=f"http://{OLLAMA_ADDRESS}")],
        models=settings.gateway.served(models),
        default=default if default in {entry.id for entry in models} else None,
        auth=Auth(mutations=settings.gateway.auth.mutations),
    )
    return OllamaPlan(stack=stack, models=models, gateway=gateway, size=ollama_resources(stack, models))


def _kserve(settings: Settings, stack: KServe) -> KServePlan:
    (model,) = settings.stacks["kserve"]
    return KServePlan(stack=stack, model=model, size=predictor_resources(stack, model))


def _front(settings: Settings) -> GatewayConfig:
    """Services by their short names: the front lives in their namespace."""
    return GatewayConfig(
        place="front",
        engines=[
            Engine(name=stack, kind=kind, url=url, models=[entry.id for entry in settings.stacks[stack]])
            for stack, (kind, url) in _BEHIND_THE_FRONT.items()
            if stack in settings.stacks
        ],
        models=settings.gateway.served(settings.served),
        default=settings.default_model,
        auth=Auth(mutations=settings.gateway.auth.mutations),
    )


def weights_plan(entries: Iterable[CatalogEntry], endpoint: str) -> WeightsPlan:
    """weights.json for these models, their files from the hub at `endpoint`."""
    return WeightsPlan(models=[_weights(entry, endpoint) for entry in entries])


def _weights(entry: CatalogEntry, endpoint: str) -> ModelWeights:
    hub = entry.hub
    return ModelWeights(
        id=entry.id,
        served_names=[entry.id],
        format=entry.format,
        files=[
            WeightsFile(
                path=file.path,
                url=f"{endpoint}/{hub.repo}/resolve/{hub.revision}/{quote(file.path)}",
                revision=hub.revision,
                bytes=file.bytes,
                sha256=file.sha256,
            )
            for file in hub.files
        ],
        # The entry's memory is counted at its context: Ollama must not choose another one.
        ollama=OllamaRecipe(template=entry.ollama.template, params={"num_ctx": entry.context, **entry.ollama.params}),
    )


def _manager(settings: Settings, block: Manager) -> ManagerConfig:
    inference = block.inference
    return ManagerConfig(
        catalog=SyncedFolder(path=block.catalog.path),
        inference_service=InferenceService(
            namespace=settings.cluster.namespace,
            name=INFERENCE_SERVICE,
            annotations={
                "serving.kserve.io/deploymentMode": "Standard",
                # Else KServe makes an autoscaler even for one replica at most.
                "serving.kserve.io/autoscalerClass": "none",
            },
            predictor={
                "minReplicas": 1,
                "maxReplicas": 1,
                # The model before gives its GPU back before the next one asks for it.
                "deploymentStrategy": {"type": "Recreate"},
                "model": {"modelFormat": {"name": inference.model_format}, "runtime": inference.runtime},
            },
            storage_uri=inference.storage_uri,
            args=inference.args,
        ),
        min_bandwidth=bandwidth_bytes(settings.cache.min_bandwidth),
        slack_seconds=SLACK_SECONDS,
    )
