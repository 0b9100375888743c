"""An engine's image with the weights inside: BuildKit builds it during `up` and pushes it to the configured registry.

Only stacks that build one import it: other stacks need neither its package nor the plugin that comes with it.
"""

import hashlib
from dataclasses import dataclass

import pulumi
from pulumi_docker_build import Image, Platform

from ..settings.prebuilt_image import Build
from .base import Demand
from .dockerfile import dockerfile

TAG_DIGITS = 12
EXPORT = "type=registry,oci-mediatypes=true,compression=uncompressed,rewrite-timestamp=true"
"""Export without compression, since weights do not compress. SOURCE_DATE_EPOCH fixes timestamps, so that a second build
makes the same layers."""


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """The declared image."""

    reference: pulumi.Output[str]
    """The tag with its digest, which is known after the build."""
    tag: str
    """name:<hash of all inputs of the build>; known before the build, and never moved."""


def built_image(demand: Demand, engine: str, build: Build, opts: pulumi.ResourceOptions) -> BuiltImage:
    """Declare an image with the weights of the plan, built on the image `engine`."""
    text = dockerfile(demand.plan, sidecar=demand.image, engine=engine)
    recipe = "\n".join([text, EXPORT, *build.platforms])
    tag = f"{build.to}:{hashlib.sha256(recipe.encode()).hexdigest()[:TAG_DIGITS]}"
    # Time to fetch once and to push once.
    patience = f"{2 * demand.budget_seconds}s"
    image = Image(
        "engine-image",
        dockerfile={"inline": text},
        # No context: the default, `.`, would be this checkout, and each of its changes a new build.
        context={"location": "-"},
        platforms=[Platform(platform) for platform in build.platforms],
        tags=[tag],
        push=False,
        exports=[{"raw": EXPORT}],
        build_args={"SOURCE_DATE_EPOCH": "0"},
        # A preview must neither change anything nor fetch gigabytes.
        build_on_preview=False,
        builder={"name": build.builder} if build.builder else None,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                # Other stacks, or a swap back, may still need it.
                retain_on_delete=True,
                custom_timeouts=pulumi.CustomTimeouts(create=patience, update=patience),
            ),
        ),
    )
    return BuiltImage(reference=pulumi.Output.concat(tag, "@", image.digest), tag=tag)
