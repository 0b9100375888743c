"""larder:cache.prebuilt-image: the engine's image with the weights inside."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from larder_sidecar.catalog import CatalogEntry
from pydantic import Field, model_validator

from .base import Block
from .images import UNKNOWN, ImageReference
from .problem import Problem
from .strategy import PULLED, Made, Need, StrategySettings

if TYPE_CHECKING:
    from .stack_file import StackFile


class Build(Block):
    """An image that `up` builds upon the engine of larder:images, and pushes."""

    # Readers disagree on a name without a host: for some of them it is on Docker Hub.
    to: Annotated[
        str,
        Field(
            max_length=200,
            pattern=r"^([a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]{1,5})?|[a-z0-9-]+:[0-9]{1,5})(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$",
        ),
    ]
    """Name of the image without a tag, as in registry.example/prebuilt/ollama; `up` must be allowed to push it."""
    platforms: list[Literal["linux/amd64", "linux/arm64"]] = Field(["linux/amd64"], min_length=1)
    """The platforms of the nodes, as in [linux/amd64, linux/arm64]; the engine's image must have them."""
    builder: Annotated[str, Field(max_length=63, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")] | None = None
    """A builder that `docker buildx ls` lists, of driver docker-container, kubernetes or remote."""


class PrebuiltImageSettings(StrategySettings):
    """An engine's image with the weights of all models, published before or built by `up`."""

    NAME = "prebuilt-image"
    KEEPS = "image"
    PUBLISHED = "engine"
    HELP = "The engine's image with the weights inside; strategy prebuilt-image runs it."
    NEEDS = (
        Need("nodes that may pull from the image's registry", "Job preflight-…, before any pod is moved"),
        Need("an image that holds these models", "Job preflight-…, before any pod is moved"),
        Need(
            "for build: a BuildKit that reaches {sources} and the registry, and a login that may push",
            "up: the build fails with its reason, before any pod is moved",
        ),
    )
    EXAMPLE = "{image: <name@sha256:…>} with the reference that `larder-sidecar publish --engine` prints"

    image: ImageReference | None = None
    """The image, name@sha256:…, as `larder-sidecar publish --engine` prints it; or build."""
    build: Build | None = None
    """Build the image with BuildKit: {to: registry.example/prebuilt/ollama}; or image."""

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if (self.image is None) == (self.build is None):
            held = "both image and build" if self.image else "neither image nor build"
            msg = (
                f"has {held}. Fix: write one of them: image: <name@sha256:…>, which `larder-sidecar publish --engine` "
                "prints, or build: {to: registry/name}."
            )
            raise ValueError(msg)
        return self

    @classmethod
    def example(cls, models: Sequence[CatalogEntry], hosts: Sequence[str]) -> dict[str, Any]:  # noqa: ARG003
        """Return a block that is right for these models and nodes."""
        return {"image": f"registry.example/engines/ollama@{UNKNOWN}"}

    @classmethod
    def placeholder(cls, models: Sequence[str]) -> dict[str, Any]:  # noqa: ARG003
        """Return a block that stands in until `make up` has published the image."""
        return {"image": f"weights/engine@{UNKNOWN}"}

    @classmethod
    def fetched(cls, made: Sequence[Made]) -> str:
        """Describe the fetch of the weights."""
        built = any(one.kind == "Image" for one in made)
        return f"by the builder, which pushes an image of them; then {PULLED}" if built else PULLED

    def later(self) -> Iterator[Problem]:
        """Yield the image if `up` builds it."""
        if self.build:
            yield Problem(f"{self.key()}.build", "`up` builds the image, and its digest is known then")

    def check_in_force(self, file: "StackFile") -> Iterator[Problem]:
        """Yield a problem if there are several engines, since an image holds one."""
        # A stack without a gateway reports by itself that it cannot use this strategy.
        engines = sorted(name for name, stack in file.stacks.items() if stack.GATEWAY)
        if len(engines) > 1:
            yield Problem(
                self.key(),
                f"an image holds one engine, but the file has larder:{' and larder:'.join(engines)}. "
                "Fix: remove one of them, or choose strategy image-volume, whose images every engine mounts.",
            )

    def place(self, total: int) -> str:  # noqa: ARG002
        """Describe the place of the weights."""
        return "in the engine's image, pulled once by each node"
