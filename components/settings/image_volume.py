"""larder:cache.image-volume: images of weights, which nodes pull and pods mount."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.weights import ModelId
from pydantic import Field

from .images import UNKNOWN, ImageReference
from .names import choices
from .problem import Problem, each
from .strategy import PULLED, Made, Need, StrategySettings

if TYPE_CHECKING:
    from .stack_file import StackFile

LEAST_KUBERNETES = (1, 33)
"""First version with image volumes in beta, behind feature gate ImageVolume; on by default from 1.35."""
BY_DEFAULT = (1, 35)
RESERVED = "ollama"
"""Id that no model may have: its image would be mounted over the engine's store, /weights/ollama."""


class ImageVolumeSettings(StrategySettings):
    """An image of weights for each model, as `larder-sidecar publish` makes them."""

    NAME = "image-volume"
    KEEPS = "image"
    GIVES_URI = True
    PUBLISHED = "weights"
    HELP = "Images of the weights; strategy image-volume mounts them."
    NEEDS = (
        Need("Kubernetes 1.35; 1.33 and 1.34 with feature gate ImageVolume", "preview, if the file states the version"),
        Need("containerd 2.1 or CRI-O 1.31 on the nodes", "Job preflight-…, before any pod is moved"),
        Need("nodes that may pull from the images' registry", "Job preflight-…, before any pod is moved"),
    )
    EXAMPLE = "{images: {<model>: <name@sha256:…>}} with the references that `larder-sidecar publish` prints"

    images: Mapping[ModelId, ImageReference] = Field(min_length=1)
    """Catalog id -> image of its weights, name@sha256:…, as `larder-sidecar publish` prints it."""

    @classmethod
    def example(cls, models: Sequence[CatalogEntry], hosts: Sequence[str]) -> dict[str, Any]:  # noqa: ARG003
        """Return a block that is right for these models and nodes."""
        return {"images": {entry.id: f"registry.example/weights/{entry.id}@{UNKNOWN}" for entry in models}}

    @classmethod
    def placeholder(cls, models: Sequence[str]) -> dict[str, Any]:
        """Return a block that stands in until `make up` has published the images."""
        return {"images": {model: f"weights/{model}@{UNKNOWN}" for model in models}}

    @classmethod
    def fetched(cls, made: Sequence[Made]) -> str:  # noqa: ARG003
        """Describe the fetch of the weights."""
        return PULLED

    def warnings(self, kubernetes: tuple[int, int] | None) -> Iterator[str]:
        """Yield warnings about features that this version of Kubernetes lacks by default."""
        if kubernetes is None:
            yield (
                "larder:cluster.kubernetes: is not stated; image volumes need 1.33 or newer, "
                "and containerd 2.1 or CRI-O 1.31 on the nodes."
            )
        elif kubernetes < BY_DEFAULT:
            yield (
                "larder:cluster.kubernetes: image volumes are off in 1.33 and 1.34 unless feature gate ImageVolume "
                "is on."
            )

    def check_in_force(self, file: "StackFile") -> Iterator[Problem]:
        """Yield a problem for models without an image, and for a Kubernetes that mounts none."""
        yield from each(self._check_images(file), self._check_version(file))

    def _check_images(self, file: "StackFile") -> Iterator[Problem]:
        models = [entry.id for entry in file.entries]
        if missing := [model for model in models if model not in self.images]:
            yield Problem(
                f"{self.key()}.images",
                f"no image for {choices(missing)}. Fix: make it with `larder-sidecar publish`, "
                "write the reference it prints, or choose strategy none.",
            )
        if RESERVED in models:
            yield Problem(
                f"{self.key()}.images",
                f"a model named {RESERVED!r} would be mounted over the engine's store. Fix: rename the entry.",
            )

    def _check_version(self, file: "StackFile") -> Iterator[Problem]:
        version = file.settings.cluster.version
        if version and version < LEAST_KUBERNETES:
            yield Problem(
                self.key(),
                "requires Kubernetes {}.{} or newer, but larder:cluster.kubernetes is {}.{}. "
                "Fix: upgrade the cluster, or choose strategy node-local or shared-storage.".format(
                    *LEAST_KUBERNETES, *version
                ),
            )

    def place(self, total: int) -> str:  # noqa: ARG002
        """Describe the place of the weights."""
        return f"in {len(self.images)} image(s), pulled once by each node"
