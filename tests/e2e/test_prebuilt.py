"""The weights inside the engine's image: published upon the real engine, swapped to under load, proven first."""

import json
from pathlib import Path

import pytest

from dev.images.weights import ENGINES
from dev.paths import STATE, VENV
from dev.progress import run

from .conftest import Platform
from .load import Load

pytestmark = pytest.mark.timeout(1800)


def published(platform: Platform, engine: str) -> dict[str, object]:
    """Return the output of `publish --engine` for the models of the stack, from the store of `make up`."""
    config, registry = STATE / "weights.dev.json", platform.cluster.registry
    command: list[str | Path] = [
        VENV / "bin" / "python",
        "-m",
        "larder_sidecar",
        "publish",
        "--config",
        config,
        "--root",
    ]
    command += [STATE / "weights", "--to", f"{registry}/{ENGINES}", "--plain-http", "--engine", engine]
    told = run(command, log=STATE / "publish.log", capture=True)
    (pushed,) = (event for event in map(json.loads, told.splitlines()) if event["event"] == "pushed")
    return dict(pushed)


def engine_image(platform: Platform) -> str:
    """Return the image of the engine's container."""
    (container,) = platform.engine_pod()["spec"]["containers"]
    return str(container["image"])


def test_clients_never_notice_the_swap_to_an_engine_that_has_its_weights(platform: Platform) -> None:
    platform.swap("none")
    base, before = engine_image(platform), platform.bytes_sent_by_hub()
    with Load(platform.url, "tiny-random") as load:
        platform.swap("prebuilt-image")
        answers, failures = load.so_far()
        platform.swap("none")
        platform.swap("prebuilt-image")
    assert (load.failures, failures) == ([], 0)
    assert load.answers > answers > 50
    assert platform.weights_volume() == ""
    assert "choices" in platform.serves()
    assert engine_image(platform) != base
    # Once by whoever publishes, once by the pod of `none`: those of prebuilt-image fetch nothing.
    assert platform.bytes_sent_by_hub() - before <= 2 * platform.weights_bytes()
    name, _, place = base.partition("/")
    again = published(platform, f"{platform.cluster.registry}/{place}")
    assert str(again["reference"]).replace(platform.cluster.registry, name, 1) == engine_image(platform)
    assert again["uploaded_bytes"] == 0


def test_an_image_without_the_weights_is_refused_before_the_pod_that_serves_is_touched(platform: Platform) -> None:
    """The engine's own image: it could run, and would know no model."""
    platform.swap("none")
    said = platform.refuses("prebuilt-image", image=engine_image(platform))
    assert "this image holds no weights of the plan" in said
    platform.swap("none")
    assert "choices" in platform.serves()
