"""Placeholders, in a preview, for images that are not named or built yet."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from components.settings import Problem
from components.settings.clusters import is_testbed
from components.settings.images import UNKNOWN
from components.settings.stacks import STACKS
from components.settings.strategies import STRATEGIES

if TYPE_CHECKING:
    from components.settings import Settings

CLUSTER, IMAGES, CACHE = "larder:cluster", "larder:images", "larder:cache"


def placeholders() -> dict[str, str]:
    """Return placeholders for the images that `make up` builds."""
    engines = [engine for stack in STACKS.values() for engine in stack.IMAGES]
    return {name: f"{name}@{UNKNOWN}" for name in ("sidecar", *engines)}


def stand_in(config: dict[str, object]) -> list[str]:
    """Add to the config what only `make up` knows; return a note for each addition."""
    notes = []
    if (images := _images(config)) is not None:
        config[IMAGES] = images
        remedy = (
            "`make up` passes the images it has built"
            if is_testbed(config.get(CLUSTER))
            else "name digests before `pulumi up`"
        )
        notes.append(f"{IMAGES}: absent, so the plan uses placeholders; {remedy}.")
    if (cache := _cache(config)) is not None:
        config[CACHE] = cache
        block = f"larder:cache.{cache['strategy']}"
        notes.append(f"{block}: absent, so the plan uses placeholders; `make up` publishes the weights.")
    return notes


def later(settings: "Settings") -> Iterator[Problem]:
    """Yield the settings of images whose digests are unknown before `up`, with the reason."""
    for name, image in settings.images.tagged.items():
        yield Problem(f"{IMAGES}.{name}", f"{image} is a tag; `up` asks the registry for its digest")
    yield from settings.cache.block.later()


def _images(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return larder:images with placeholders for unnamed images; None if all are named."""
    images, ours = config.get(IMAGES), placeholders()
    if images is None:
        return ours if is_testbed(config.get(CLUSTER)) else {**ours, "git-sync": f"git-sync@{UNKNOWN}"}
    if not isinstance(images, dict) or not is_testbed(config.get(CLUSTER)) or ours.keys() & images.keys():
        return None
    # The file names git-sync's image, which `make up` does not build.
    return {**ours, **images}


def _cache(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return larder:cache with placeholders for images that `make up` makes; None if it makes none."""
    cache, models = config.get(CACHE), config.get("larder:models")
    if not is_testbed(config.get(CLUSTER)) or not isinstance(cache, dict) or not isinstance(models, list):
        return None
    strategy = STRATEGIES.get(str(cache.get("strategy")))
    if strategy is None or cache.get(strategy.NAME):
        return None
    block = strategy.placeholder([str(model) for model in models])
    return {**cache, strategy.NAME: block} if block else None
