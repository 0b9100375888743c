"""An engine's image with the weights inside, built by BuildKit when `up` runs and pushed to the registry of a setting.

Imported only by stacks that build one: its package, and the plugin that comes with it, are nothing to all others.
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
"""Weights do not compress. Files are as old as SOURCE_DATE_EPOCH says: a second build of them makes the same layers."""


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """The declared image."""

    reference: pulumi.Output[str]
    """The tag with its digest, which is known when it is built."""
    tag: str
    """name:<hash of all that decides what is in it>; known before, and never moved."""


def built_image(demand: Demand, engine: str, build: Build, opts: pulumi.ResourceOptions) -> BuiltImage:
    """Declare an image with the weights of the plan, built on the image `engine`."""
    text = dockerfile(demand.plan, sidecar=demand.image, engine=engine)
    recipe = "\n".join([text, EXPORT, *build.platforms])
    tag = f"{build.to}:{hashlib.sha256(recipe.encode()).hexdigest()[:TAG_DIGITS]}"
    # Fetched once and pushed once.
    patience = f"{2 * demand.budget_seconds}s"
    image = Image(
        "engine-image",
        dockerfile={"inline": text},
        # No context: `.`, the default, would be this checkout with all that changes in it.
        context={"location": "-"},
        platforms=[Platform(platform) for platform in build.platforms],
        tags=[tag],
        push=False,
        exports=[{"raw": EXPORT}],
        build_args={"SOURCE_DATE_EPOCH": "0"},
        # A preview changes nothing, and gigabytes are no preview.
        build_on_preview=False,
        builder={"name": build.builder} if build.builder else None,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                # What runs elsewhere or is swapped back to still needs it.
                retain_on_delete=True,
                custom_timeouts=pulumi.CustomTimeouts(create=patience, update=patience),
            ),
        ),
    )
    return BuiltImage(reference=pulumi.Output.concat(tag, "@", image.digest), tag=tag)
