"""larder:cache.image-volume: images of weights that the nodes' runtime pulls and pods mount."""

from collections.abc import Mapping, Sequence
from typing import Any

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.weights import ModelId
from pydantic import Field

from .base import Known
from .images import ImageReference
from .names import choices
from .strategy import StrategyBlock

LEAST_KUBERNETES = (1, 33)
"""Image volumes as we mount them: beta, behind feature gate ImageVolume until 1.34, on by default from 1.35."""
RESERVED = "ollama"
"""The images are mounted beside the engine's store, /weights/ollama."""


class ImageVolume(StrategyBlock):
    """An image of weights for each model, as `larder-sidecar publish` makes them."""

    EXAMPLE = "{images: {<model>: <name@sha256:…>}} with the references that `larder-sidecar publish` prints"

    images: Mapping[ModelId, ImageReference] = Field(min_length=1)
    """Catalog id -> image of its weights, name@sha256:…, as `larder-sidecar publish` prints it."""

    @classmethod
    def example(cls, models: Sequence[CatalogEntry], hosts: Sequence[str]) -> dict[str, Any]:  # noqa: ARG003
        """A block that is right for these models and nodes."""
        return {"images": {entry.id: f"registry.example/weights/{entry.id}@sha256:{'0' * 64}" for entry in models}}

    def check(self, known: Known) -> None:
        """Every model needs its image, and the cluster a Kubernetes that mounts it."""
        models = [entry.id for entry in known.models or ()]
        if missing := [model for model in models if model not in self.images]:
            msg = (
                f"images: none for {choices(missing)}. Make it with `larder-sidecar publish`, "
                "write the reference it prints, or choose strategy none."
            )
            raise ValueError(msg)
        if RESERVED in models:
            msg = f"images: a model named {RESERVED!r} would be mounted over the engine's store. Rename the entry."
            raise ValueError(msg)
        if known.kubernetes and known.kubernetes < LEAST_KUBERNETES:
            msg = (
                "mounts images, which needs Kubernetes {}.{} or newer; by larder:cluster.kubernetes it is {}.{}. "
                "Upgrade the cluster, or choose strategy node-local or shared-storage."
            ).format(*LEAST_KUBERNETES, *known.kubernetes)
            raise ValueError(msg)

    def place(self, total: int) -> str:  # noqa: ARG002 (of the contract)
        """Where the weights are."""
        return f"in {len(self.images)} image(s), pulled once by each node"
