"""`make up` publishes the weights of a stack that mounts images and names none of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from components import ROOT
from dev.images.wanted import wanted
from tests.program.previews import IMAGES
from tests.program.test_kserve import BOTH

REFERENCE = f"registry.example/tiny@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("cache", "models"),
    [
        ({"strategy": "image-volume"}, ["tiny-random"]),
        ({"strategy": "prebuilt-image"}, ["tiny-random"]),
        ({"strategy": "node-local"}, []),
        ({"strategy": "image-volume", "image-volume": {"images": {"tiny-random": REFERENCE}}}, []),
        ({"strategy": "prebuilt-image", "prebuilt-image": {"image": REFERENCE}}, []),
        ({"strategy": "image-volume", "min-bandwidth": "slow"}, []),
    ],
    ids=["wanted", "inside", "mounts none", "names its own", "names its engine", "settings are wrong"],
)
def test_weights_are_published_where_images_are_mounted(
    tmp_path: Path, cache: dict[str, Any], models: list[str]
) -> None:
    overlay = {"larder:images": IMAGES, "larder:models": ["tiny-random"], "larder:cache": cache}
    (tmp_path / "overlay").write_text(json.dumps(overlay))
    text = wanted(ROOT / "Pulumi.dev.yaml", tmp_path / "overlay")
    told = (
        json.loads(text) if text else {"strategy": cache["strategy"], "engine": "ollama", "weights": '{"models": []}'}
    )
    assert [model["id"] for model in json.loads(told["weights"])["models"]] == models
    assert (told["strategy"], told["engine"]) == (cache["strategy"], "ollama")


def test_a_stack_of_kserve_has_its_weights_published_too(tmp_path: Path) -> None:
    overlay = {**BOTH, "larder:images": IMAGES, "larder:cache": {"strategy": "image-volume"}}
    (tmp_path / "overlay").write_text(json.dumps(overlay))
    told = json.loads(wanted(ROOT / "Pulumi.dev.yaml", tmp_path / "overlay"))
    assert [model["id"] for model in json.loads(told["weights"])["models"]] == BOTH["larder:models"]


@pytest.mark.parametrize("content", ["a: [", "y: !!bool x", "a: &a [*a]", "[1]"])
def test_files_that_cannot_be_read_are_left_to_the_program(tmp_path: Path, content: str) -> None:
    good, bad = ROOT / "Pulumi.dev.yaml", tmp_path / "Pulumi.dev.yaml"
    bad.write_text(content)
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("larder:cache: {strategy: image-volume}")
    assert wanted(bad, overlay) == wanted(good, bad) == ""
