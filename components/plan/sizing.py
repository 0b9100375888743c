"""Resources of an engine's container, by what the catalog says its models need."""

from collections.abc import Collection
from dataclasses import dataclass

from larder_sidecar.catalog import CatalogEntry

from ..settings.kserve import KServeSettings
from ..settings.quantities import in_mebibytes, millicores, size_bytes
from ..settings.stack import StackSettings

SERVER_BYTES = 192 * 2**20
"""The server itself beside its runners. Ollama has 33 MiB resident when idle (0.32), and Go collects late."""
ROCM_BYTES = 4 * 2**30
"""vLLM on the host, beside the weights on their way to the GPU: PyTorch, ROCm, /dev/shm. An estimate, not measured."""


@dataclass(frozen=True)
class EngineResources:
    """The requests of an engine, and the memory at which it is killed.

    The two are one figure unless models come that nobody planned: an engine that borrows memory is killed together
    with its neighbours.
    """

    memory: str
    """The limit."""
    cpu: str
    """Request only: an idle engine's share is free for whoever needs it, and a busy one takes what is free."""
    requested: str
    """Memory that is kept for it."""


def engine_resources(stack: StackSettings, models: Collection[CatalogEntry], most: int | None) -> EngineResources:
    """Return the resources of an engine that loads `most` models at once, or all (None). Their memory adds up."""
    memory = stack.memory or in_mebibytes(needed_bytes(models, most))
    needed = EngineResources(memory, max((entry.needs.cpu for entry in models), key=millicores), memory)
    floor = needed if stack.memory or not stack.FLOOR else EngineResources(**stack.FLOOR)
    return EngineResources(
        memory=max(needed.memory, floor.memory, key=size_bytes),
        cpu=stack.cpu or max(needed.cpu, floor.cpu, key=millicores),
        requested=max(needed.requested, floor.requested, key=size_bytes),
    )


def predictor_resources(stack: KServeSettings, models: Collection[CatalogEntry]) -> EngineResources:
    """Return the resources on the host for the largest model: one at a time passes through memory to the GPU."""
    largest = max(size_bytes(entry.needs.memory) for entry in models)
    memory = stack.memory or in_mebibytes(largest + ROCM_BYTES)
    return EngineResources(memory, stack.cpu or max((entry.needs.cpu for entry in models), key=millicores), memory)


def needed_bytes(models: Collection[CatalogEntry], most: int | None) -> int:
    """Return the memory of the server and of the `most` largest of these models together, by the catalog."""
    largest = sorted((size_bytes(entry.needs.memory) for entry in models), reverse=True)
    return sum(largest[:most]) + SERVER_BYTES
