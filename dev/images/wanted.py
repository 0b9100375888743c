"""`python -m dev.images.wanted STACK-FILE OVERLAY`: print what `make up` must publish as JSON, or nothing.

Runs in the checkout's environment, where the program's settings can be read; settings that are wrong are left to the
program, which says so better.
"""

import json
import sys
from pathlib import Path

from components import ROOT
from components.settings import SettingsError, parse
from components.settings.read import read_catalog
from components.settings.sources import merged, read_overlay
from components.settings.strategies import STRATEGIES
from preview.program import stack_config


def wanted(file: Path, overlay: Path) -> str:
    """Return what `make up` must publish for the strategy if the stack file names no image of it, else nothing.

    The JSON has the strategy, weights.json, the engine by its word in larder:images, and whether the weights go inside
    the image of that engine.
    """
    stack = file.name.split(".")[1]
    try:
        config = merged(stack_config(stack, file.parent), read_overlay(str(overlay)))
    except SettingsError:
        return ""
    cache, models = config.get("larder:cache"), config.get("larder:models")
    strategy = STRATEGIES.get(str(cache.get("strategy"))) if isinstance(cache, dict) else None
    if not isinstance(cache, dict) or strategy is None or strategy.PUBLISHED is None or cache.get(strategy.NAME):
        return ""
    # The settings must be complete before the images exist.
    block = strategy.placeholder([str(model) for model in models] if isinstance(models, list) else [])
    unpublished = {"larder:cache": {strategy.NAME: block}}
    try:
        settings = parse(merged(config, unpublished), stack=stack, catalog=read_catalog(ROOT))
    except SettingsError:
        return ""
    weights = settings.weights.to_json()
    engine = next((block.runs for block in settings.blocks.values() if block.GATEWAY), None)
    inside = strategy.PUBLISHED == "engine"
    return json.dumps({"strategy": strategy.NAME, "engine": engine, "inside": inside, "weights": weights})


if __name__ == "__main__":
    print(wanted(Path(sys.argv[1]), Path(sys.argv[2])), end="")
