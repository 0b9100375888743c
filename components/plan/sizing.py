"""Resources of an engine's container, by the catalog's figures for its models."""

from collections.abc import Collection
from dataclasses import dataclass

from larder_sidecar.catalog import CatalogEntry

from ..settings.kserve import KServeSettings
from ..settings.quantities import in_mebibytes, millicores, size_bytes
from ..settings.stack import StackSettings

SERVER_BYTES = 192 * 2**20
"""Memory of the server without its runners. Ollama 0.32 has 33 MiB resident when idle, and Go collects late."""
ROCM_BYTES = 4 * 2**30
"""Memory of vLLM on the host without weights in transfer: PyTorch, ROCm, /dev/shm. An estimate, not measured."""


@dataclass(frozen=True)
class EngineResources:
    """Requests of the engine's container, and its memory limit.

    Request and limit of memory are equal unless clients pull models: a node short of memory kills an engine that uses
    more than its request, and its neighbours with it.
    """

    memory: str
    """Limit of memory."""
    cpu: str
    """Request of CPU. There is no limit: other pods may use an idle engine's share, and a busy engine what is free."""
    requested: str
    """Request of memory."""


def engine_resources(stack: StackSettings, models: Collection[CatalogEntry], most: int | None) -> EngineResources:
    """Return the resources for `most` loaded models, None for all: memory adds up, and the processor is shared."""
    memory = stack.memory or in_mebibytes(required_bytes(models, most))
    needed = EngineResources(memory, max((entry.needs.cpu for entry in models), key=millicores), memory)
    floor = needed if stack.memory or not stack.FLOOR else EngineResources(**stack.FLOOR)
    return EngineResources(
        memory=max(needed.memory, floor.memory, key=size_bytes),
        cpu=stack.cpu or max(needed.cpu, floor.cpu, key=millicores),
        requested=max(needed.requested, floor.requested, key=size_bytes),
    )


def predictor_resources(stack: KServeSettings, models: Collection[CatalogEntry]) -> EngineResources:
    """Return the host's resources for the largest model: one at a time passes through memory on its way to the GPU."""
    largest = max(size_bytes(entry.needs.memory) for entry in models)
    memory = stack.memory or in_mebibytes(largest + ROCM_BYTES)
    return EngineResources(memory, stack.cpu or max((entry.needs.cpu for entry in models), key=millicores), memory)


def required_bytes(models: Collection[CatalogEntry], most: int | None) -> int:
    """Return bytes for the server and the `most` largest of these models together, by the catalog."""
    largest = sorted((size_bytes(entry.needs.memory) for entry in models), reverse=True)
    return sum(largest[:most]) + SERVER_BYTES
