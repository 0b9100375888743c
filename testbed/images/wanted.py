"""`python -m testbed.images.wanted STACK-FILE OVERLAY`: the weights.json of what `make up` has to publish, or nothing.

Runs in the checkout's environment, where the program's settings can be read; settings that are wrong are left to the
program, which says so better.
"""

import sys
from pathlib import Path

from larder_sidecar.config.document import load_document

from components import ROOT
from components.planning.placeholders import UNKNOWN
from components.planning.plan import weights_plan
from components.settings import SettingsError, parse
from components.settings.read import read_catalog
from components.settings.sources import merged, read_overlay


def wanted(file: Path, overlay: Path) -> str:
    """weights.json where the strategy mounts images and the stack file names none, else nothing."""
    document = load_document(file)
    config = merged(document["config"] if isinstance(document, dict) else {}, read_overlay(str(overlay)))
    cache = config.get("larder:cache")
    if not isinstance(cache, dict) or cache.get("strategy") != "image-volume" or cache.get("image-volume"):
        return ""
    models, stack = config.get("larder:models"), file.name.split(".")[1]
    # So that the settings are whole before the images are there.
    images = {str(model): f"weights/{model}@{UNKNOWN}" for model in models} if isinstance(models, list) else {}
    unpublished = {"larder:cache": {"image-volume": {"images": images}}}
    try:
        settings = parse(merged(config, unpublished), stack=stack, catalog=read_catalog(ROOT))
    except SettingsError:
        return ""
    return weights_plan(settings.entries, settings.hub.endpoint).to_json()


if __name__ == "__main__":
    print(wanted(Path(sys.argv[1]), Path(sys.argv[2])), end="")
