"""What the settings come down to: the files the sidecar reads, the engine's size, the time it may all take."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.gateway import Auth, Engine, GatewayConfig
from larder_sidecar.config.weights import ModelWeights, OllamaRecipe, WeightsFile, WeightsPlan

from ..settings import Settings
from .resources import EngineResources, ollama_resources

OLLAMA_ADDRESS = "127.0.0.1:11434"
"""Loopback: nothing but the gateway of the same pod talks to Ollama."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is known before the first resource is registered."""

    weights: WeightsPlan
    """weights.json."""
    gateway: GatewayConfig
    """gateway.json."""
    engine: EngineResources
    budget_seconds: int
    """The longest that moving all weights once may take."""


def make_plan(settings: Settings) -> Plan:
    """The plan of these settings; nothing in it can be refused any more."""
    weights = weights_plan(settings.entries, settings.hub.endpoint)
    return Plan(
        weights=weights,
        gateway=GatewayConfig(
            engines=[Engine(kind="ollama", url=f"http://{OLLAMA_ADDRESS}")],
            models=settings.gateway.served(settings.entries),
            default=settings.default_model,
            auth=Auth(mutations=settings.gateway.auth.mutations),
        ),
        engine=ollama_resources(settings),
        budget_seconds=settings.budget_seconds(weights.total_bytes()),
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
