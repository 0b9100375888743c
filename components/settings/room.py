"""Arithmetic of volumes and disks: whether weights fit, and the smallest change that helps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .quantities import readable, size_bytes

TIGHT = 0.9
"""Part of a volume beyond which the next model will not fit."""
POD_COPY = 1.1
POD_SLACK = 256 * 2**20
"""Bytes of a pod's copy beside the weights: manifests, markers, blocks of the file system."""


def pod_copy(weights: int) -> float:
    """Bytes that a pod may take which keeps so many bytes of weights for itself; beyond them the kubelet evicts it."""
    return weights * POD_COPY + POD_SLACK


@dataclass(frozen=True, kw_only=True)
class Place:
    """Something of a stated size that weights have to fit into."""

    setting: str
    """The setting that states its size."""
    size: str
    usable: float = TIGHT
    """Part of it that may be taken."""
    copies: float = 1
    """Number of copies of the weights in it."""
    beside: int = 0
    """Bytes of it that something else takes."""
    why: str = ""
    """Why it has room for less than its size."""

    @property
    def room(self) -> int:
        """Bytes of weights that it should hold at most."""
        return max(0, int((size_bytes(self.size) * self.usable - self.beside) / self.copies))

    def cannot_hold(self, weights: int) -> bool:
        """Tell whether they are larger than the whole of it."""
        return weights > size_bytes(self.size)

    def smallest(self, weights: int) -> str:
        """Return the least size, in whole GiB, that has room for them."""
        return f"{math.ceil((weights * self.copies + self.beside) / self.usable / 2**30)}Gi"

    def finding(self, models: Mapping[str, int]) -> str | None:
        """Why these models, each with its bytes, do not fit, and the smallest changes that help; None where they do."""
        weights = sum(models.values())
        if weights <= self.room:
            return None
        because = f" ({self.why})" if self.why else ""
        change = f"Set {self.setting.rpartition('.')[2]}: {self.smallest(weights)}"
        if dropped := to_drop(models, self.room):
            named = " and ".join(f"{model} ({readable(models[model])})" for model in dropped)
            change += f", or drop {named} from larder:models"
        return (
            f"{self.size} has room for {readable(self.room)} of weights{because}, and those of larder:models are "
            f"{readable(weights)}. {change}."
        )


def roomy_for(weights: int) -> str:
    """Return the least size of a volume, in whole GiB, that has room for them."""
    return Place(setting="size", size="1Gi").smallest(max(weights, 1))


def to_drop(models: Mapping[str, int], room: int) -> tuple[str, ...]:
    """Return the fewest models without which the others fit, of these the smallest; none if no model would be left."""
    excess = sum(models.values()) - room
    by_size = sorted(models, key=lambda model: (models[model], model))
    if alone := next((model for model in by_size if models[model] >= excess), None):
        return (alone,) if len(models) > 1 else ()
    dropped: list[str] = []
    for model in reversed(by_size):
        if excess <= 0:
            return tuple(dropped)
        dropped.append(model)
        excess -= models[model]
    return ()
