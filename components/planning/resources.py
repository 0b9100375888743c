"""What an engine's container takes: from what the catalog says its models need."""

from collections.abc import Collection
from dataclasses import dataclass

from larder_sidecar.catalog import CatalogEntry

from ..settings.kserve import KServe
from ..settings.ollama import Ollama
from ..settings.quantities import in_mebibytes, millicores, size_bytes

SERVER_BYTES = 192 * 2**20
"""Ollama itself beside its runners: 33 MiB resident when idle (0.32), and room for what Go collects late."""
ROCM_BYTES = 4 * 2**30
"""vLLM on the host, beside the weights on their way to the GPU: PyTorch, ROCm, /dev/shm. An estimate, not measured."""


@dataclass(frozen=True)
class EngineResources:
    """Memory is both request and limit: an engine that borrows memory is killed together with its neighbours."""

    memory: str
    cpu: str
    """Request only: an idle engine's share is free for whoever needs it, and a busy one takes what is free."""


def ollama_resources(stack: Ollama, models: Collection[CatalogEntry]) -> EngineResources:
    """All models may be loaded at once, so their memory adds up; they share the processor."""
    memory = stack.memory or in_mebibytes(needed_bytes(models))
    return EngineResources(memory, stack.cpu or max((entry.needs.cpu for entry in models), key=millicores))


def predictor_resources(stack: KServe, model: CatalogEntry) -> EngineResources:
    """Of the host: the model passes through its memory on the way to the GPU."""
    memory = stack.memory or in_mebibytes(size_bytes(model.needs.memory) + ROCM_BYTES)
    return EngineResources(memory, stack.cpu or model.needs.cpu)


def needed_bytes(models: Collection[CatalogEntry]) -> int:
    """Memory of all these models loaded together and of Ollama itself, by the catalog."""
    return sum(size_bytes(entry.needs.memory) for entry in models) + SERVER_BYTES
