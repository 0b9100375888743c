"""What an engine's container takes: from what the catalog says its models need."""

from dataclasses import dataclass

from ..settings import Settings
from ..settings.quantities import in_mebibytes, millicores, size_bytes

SERVER_BYTES = 192 * 2**20
"""Ollama itself beside its runners: the Go server, its scheduler, and the metadata of the models it lists."""


@dataclass(frozen=True)
class EngineResources:
    """Memory is both request and limit: an engine that borrows memory is killed together with its neighbours."""

    memory: str
    cpu: str
    """Request only: an idle engine's share is free for whoever needs it, and a busy one takes what is free."""


def ollama_resources(settings: Settings) -> EngineResources:
    """All models may be loaded at once, so their memory adds up; they share the processor."""
    needs = [entry.needs for entry in settings.entries]
    memory = settings.ollama.memory or in_mebibytes(sum(size_bytes(need.memory) for need in needs) + SERVER_BYTES)
    return EngineResources(memory, settings.ollama.cpu or max((need.cpu for need in needs), key=millicores))
