"""larder:cache.prebuilt-image: the engine's image with the weights inside."""

from collections.abc import Sequence
from typing import Any

from larder_sidecar.catalog import CatalogEntry

from .base import Known
from .images import ImageReference
from .strategy import StrategyBlock


class PrebuiltImage(StrategyBlock):
    """An engine's image that holds the weights of all models, as `larder-sidecar publish --engine` makes it."""

    EXAMPLE = "{image: <name@sha256:…>} with the reference that `larder-sidecar publish --engine` prints"

    image: ImageReference
    """The image, name@sha256:…, as `larder-sidecar publish --engine` prints it."""

    @classmethod
    def example(cls, models: Sequence[CatalogEntry], hosts: Sequence[str]) -> dict[str, Any]:  # noqa: ARG003
        """A block that is right for these models and nodes."""
        return {"image": f"registry.example/engines/ollama@sha256:{'0' * 64}"}

    def check(self, known: Known) -> None:
        """One image runs one engine."""
        engines = sorted(known.stacks - {"kserve"})  # which says itself why it cannot have this strategy
        if len(engines) > 1:
            msg = (
                f"image: is that of one engine, and here are larder:{' and larder:'.join(engines)}. "
                "Drop one of them, or choose strategy image-volume, whose images every engine mounts."
            )
            raise ValueError(msg)

    def place(self, total: int) -> str:  # noqa: ARG002 (of the contract)
        """Where the weights are."""
        return "in the engine's image, pulled once by each node"
