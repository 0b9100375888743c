"""`python -m testbed.images.wanted STACK-FILE OVERLAY`: what `make up` has to publish, as JSON, or nothing.

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
from components.settings.weights_plan import weights_plan
from preview.placeholders import UNKNOWN
from preview.program import stack_config

PUBLISHED = ("image-volume", "prebuilt-image")


def wanted(file: Path, overlay: Path) -> str:
    """Strategy and weights.json where it needs images and the stack file names none, else nothing.

    With the weights inside an engine's image, also that engine's word in larder:images.
    """
    stack = file.name.split(".")[1]
    try:
        config = merged(stack_config(stack, file.parent), read_overlay(str(overlay)))
    except SettingsError:
        return ""
    cache = config.get("larder:cache")
    strategy = cache.get("strategy") if isinstance(cache, dict) else None
    if not isinstance(cache, dict) or strategy not in PUBLISHED or cache.get(strategy):
        return ""
    models = config.get("larder:models")
    # So that the settings are whole before the images are there.
    images = {str(model): f"weights/{model}@{UNKNOWN}" for model in models} if isinstance(models, list) else {}
    blocks = {"image-volume": {"images": images}, "prebuilt-image": {"image": f"weights/all@{UNKNOWN}"}}
    unpublished = {"larder:cache": {strategy: blocks[strategy]}}
    try:
        settings = parse(merged(config, unpublished), stack=stack, catalog=read_catalog(ROOT))
    except SettingsError:
        return ""
    weights = weights_plan(settings.entries, settings.hub.endpoint).to_json()
    engine = next((block.runs for block in (settings.ollama, settings.shimmy) if block), None)
    return json.dumps({"strategy": strategy, "engine": engine, "weights": weights})


if __name__ == "__main__":
    print(wanted(Path(sys.argv[1]), Path(sys.argv[2])), end="")
