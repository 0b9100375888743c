"""Images of a stack's weights, for the strategies that need them. The sidecar's role `publish` publishes them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..paths import ROOT, STACKS, STATE, VENV
from ..progress import run, step
from .buildah import LOG, plain

STORE = STATE / "weights"
"""Folder of what was fetched to be published; the next run fetches nothing."""
PREFIX, ENGINES = "weights", "prebuilt"


def publish(stack: str, overlay: Mapping[str, object], registry: str, name: str) -> dict[str, object]:
    """Push the images that the strategy needs; return the overlay, with their references if there are any.

    `registry` is where this host pushes, `name` what the cluster pulls from.
    """
    passed, weights = STATE / f"overlay.{stack}.json", STATE / f"weights.{stack}.json"
    STATE.mkdir(parents=True, exist_ok=True)
    passed.write_text(json.dumps(overlay, indent=1))
    text = _python("dev.images.wanted", STACKS / f"Pulumi.{stack}.yaml", passed)
    if not text:
        return dict(overlay)
    wanted = json.loads(text)
    weights.write_text(wanted["weights"])
    prebuilt = wanted["inside"]
    images: Any = overlay["larder:images"]
    upon = ("--engine", images[wanted["engine"]].replace(name, registry, 1)) if prebuilt else ()
    with step("the engine's image with the weights inside" if prebuilt else "images of the weights", 20):
        secure = ("--plain-http",) if plain(registry) else ()
        to = f"{registry}/{ENGINES if prebuilt else PREFIX}"
        output = _python("larder_sidecar", "publish", "--config", weights, "--root", STORE, "--to", to, *secure, *upon)
    pushed = [event for event in map(json.loads, output.splitlines()) if event["event"] == "pushed"]
    named = [(event.get("model"), str(event["reference"]).replace(registry, name, 1)) for event in pushed]
    block = {"image": named[0][1]} if prebuilt else {"images": dict(named)}
    cache = overlay.get("larder:cache")
    return {**overlay, "larder:cache": {**(cache if isinstance(cache, dict) else {}), wanted["strategy"]: block}}


def _python(module: str, *args: str | Path) -> str:
    """Run a module in the environment of this checkout, with the sidecar's package on its path."""
    return run([VENV / "bin" / "python", "-m", module, *args], log=LOG, cwd=ROOT, capture=True)
