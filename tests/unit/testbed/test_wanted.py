"""What `make up` publishes: the weights of a stack that mounts images and names none of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from components import ROOT
from testbed.images.wanted import wanted
from tests.program.previews import IMAGES
from tests.program.test_kserve import BOTH

REFERENCE = f"registry.example/tiny@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("cache", "models"),
    [
        ({"strategy": "image-volume"}, ["tiny-random"]),
        ({"strategy": "node-local"}, []),
        ({"strategy": "image-volume", "image-volume": {"images": {"tiny-random": REFERENCE}}}, []),
        ({"strategy": "image-volume", "min-bandwidth": "slow"}, []),
    ],
    ids=["wanted", "mounts none", "names its own", "settings are wrong"],
)
def test_weights_are_published_where_images_are_mounted(
    tmp_path: Path, cache: dict[str, Any], models: list[str]
) -> None:
    overlay = {"larder:images": IMAGES, "larder:models": ["tiny-random"], "larder:cache": cache}
    (tmp_path / "overlay").write_text(json.dumps(overlay))
    text = wanted(ROOT / "Pulumi.dev.yaml", tmp_path / "overlay")
    assert [model["id"] for model in (json.loads(text)["models"] if text else [])] == models


def test_a_stack_of_kserve_has_its_weights_published_too(tmp_path: Path) -> None:
    overlay = {**BOTH, "larder:images": IMAGES, "larder:cache": {"strategy": "image-volume"}}
    (tmp_path / "overlay").write_text(json.dumps(overlay))
    published = json.loads(wanted(ROOT / "Pulumi.dev.yaml", tmp_path / "overlay"))["models"]
    assert [model["id"] for model in published] == BOTH["larder:models"]
