"""What an engine's container takes: from what the catalog says its models need."""

from dataclasses import dataclass

from ..settings import Settings
from ..settings.quantities import in_mebibytes, millicores, size_bytes

SERVER_BYTES = 192 * 2**20
"""Ollama itself beside its runners: 33 MiB resident when idle (0.32), and room for what Go collects late."""


@dataclass(frozen=True)
class EngineResources:
    """Memory is both request and limit: an engine that borrows memory is killed together with its neighbours."""

    memory: str
    cpu: str
    """Request only: an idle engine's share is free for whoever needs it, and a busy one takes what is free."""


def ollama_resources(settings: Settings) -> EngineResources:
    """All models may be loaded at once, so their memory adds up; they share the processor."""
    memory = settings.ollama.memory or in_mebibytes(needed_bytes(settings))
    return EngineResources(
        memory, settings.ollama.cpu or max((entry.needs.cpu for entry in settings.entries), key=millicores)
    )


def needed_bytes(settings: Settings) -> int:
    """Memory of all models loaded together and of Ollama itself, by the catalog."""
    return sum(size_bytes(entry.needs.memory) for entry in settings.entries) + SERVER_BYTES
