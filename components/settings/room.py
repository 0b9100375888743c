"""Room for weights on volumes and disks, and the smallest change that gives enough."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .quantities import readable, size_bytes

TIGHT = 0.9
"""Part of a volume that weights may fill, so that there is room for the next model."""
POD_COPY = 1.1
POD_SLACK = 256 * 2**20
"""Bytes of a pod's copy beside the weights: manifests, markers, blocks of the file system."""


def pod_copy(weights: int) -> float:
    """Return the bytes that a pod with its own copy of the weights may take. Beyond them the kubelet evicts it."""
    return weights * POD_COPY + POD_SLACK


@dataclass(frozen=True, kw_only=True)
class Place:
    """A volume or disk of a stated size that holds weights."""

    setting: str
    """Path of the setting with its size."""
    size: str
    usable: float = TIGHT
    """Part of it that may be filled."""
    copies: float = 1
    """Number of copies of the weights."""
    beside: int = 0
    """Bytes that something else takes."""
    why: str = "a tenth of it stays free"
    """Reason for having room for less than its size."""

    @property
    def room(self) -> int:
        """Return the most bytes of weights that it should hold."""
        return max(0, int((size_bytes(self.size) * self.usable - self.beside) / self.copies))

    def cannot_hold(self, weights: int) -> bool:
        """Tell if the weights are larger than the whole place."""
        return weights > size_bytes(self.size)

    def smallest(self, weights: int) -> str:
        """Return the smallest size, in whole GiB, with room for the weights."""
        return f"{math.ceil((weights * self.copies + self.beside) / self.usable / 2**30)}Gi"

    def finding(self, models: Mapping[str, int]) -> str | None:
        """Return why models of these bytes do not fit, and the smallest changes that help; None if they fit."""
        weights = sum(models.values())
        if weights <= self.room:
            return None
        change = f"Fix: set {self.setting.rpartition('.')[2]}: {self.smallest(weights)}"
        if dropped := to_drop(models, self.room):
            named = " and ".join(f"{model} ({readable(models[model])})" for model in dropped)
            change += f", or drop {named} from larder:models"
        return (
            f"{self.size} has room for {readable(self.room)} of weights ({self.why}), but larder:models need "
            f"{readable(weights)}. {change}."
        )


def roomy_for(weights: int) -> str:
    """Return the smallest size of a volume, in whole GiB, with room for the weights."""
    return Place(setting="size", size="1Gi").smallest(max(weights, 1))


def to_drop(models: Mapping[str, int], room: int) -> tuple[str, ...]:
    """Return the fewest and smallest models without which the others fit; none if no model would be left."""
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
