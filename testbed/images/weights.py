"""Images of a stack's weights, for the strategy that mounts them: fetched once, published by the sidecar's own role."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from ..paths import ROOT, STACKS, STATE, VENV
from ..progress import run, step
from .buildah import LOG, plain

STORE = STATE / "weights"
"""What was fetched to be published; the next run fetches nothing."""
PREFIX = "weights"


def publish(stack: str, overlay: Mapping[str, object], registry: str, name: str) -> dict[str, object]:
    """Push what the stack's strategy mounts and return the overlay with the references; as it is if that is nothing.

    `registry` is where this host pushes, `name` what the cluster pulls from.
    """
    passed, weights = STATE / f"overlay.{stack}.json", STATE / f"weights.{stack}.json"
    STATE.mkdir(parents=True, exist_ok=True)
    passed.write_text(json.dumps(overlay, indent=1))
    text = _python("testbed.images.wanted", STACKS / f"Pulumi.{stack}.yaml", passed)
    if not text:
        return dict(overlay)
    weights.write_text(text)
    with step("images of the weights", 20):
        secure = ("--plain-http",) if plain(registry) else ()
        told = _python(
            "larder_sidecar", "publish", "--config", weights, "--root", STORE, "--to", f"{registry}/{PREFIX}", *secure
        )
    events = [json.loads(line) for line in told.splitlines()]
    references = {e["model"]: str(e["reference"]) for e in events if e["event"] == "pushed"}
    images = {model: reference.replace(registry, name, 1) for model, reference in references.items()}
    cache = overlay.get("larder:cache")
    return {
        **overlay,
        "larder:cache": {**(cache if isinstance(cache, dict) else {}), "image-volume": {"images": images}},
    }


def _python(module: str, *args: str | Path) -> str:
    """Run a module in the environment of this checkout, the sidecar's package on its path."""
    env = os.environ | {"PYTHONPATH": f"{ROOT}/sidecar"}
    return run([VENV / "bin" / "python", "-m", module, *args], log=LOG, cwd=ROOT, env=env, capture=True)
