"""larder:images takes digests or versions, and larder:cache.prebuilt-image an image or a build."""

from typing import Any

import pytest

from components.settings.prebuilt_image import PrebuiltImageSettings
from tests.unit.stack_config import DIGEST, problems, settings

NO_VERSION = "names no version. Fix: write registry/name:version or name@sha256:<64 hex"
ONE = (
    "Fix: write one of them: image: <name@sha256:…>, which `larder-sidecar publish --engine` prints, or build: "
    "{to: registry/name}."
)
IMAGE = f"registry/ollama@{DIGEST}"
TO = "registry.example/prebuilt/ollama"


def _block(block: dict[str, Any]) -> dict[str, Any]:
    return {"larder:cache": {"strategy": "prebuilt-image", "prebuilt-image": block}}


@pytest.mark.parametrize(
    "image",
    ["docker.io/ollama/ollama:0.32.15", "localhost:5000/larder/ollama:a1b2", "ollama/ollama:0.32.15"],
)
def test_an_image_may_be_named_by_its_version(image: str) -> None:
    read = settings({"larder:images": {"ollama": image, "git-sync": f"registry/git-sync@{DIGEST}"}})
    assert read.images.tagged == {"ollama": image}


def test_a_digest_takes_precedence_over_a_tag() -> None:
    assert settings({"larder:images": {"ollama": f"ollama/ollama:0.32.15@{DIGEST}"}}).images.tagged == {}


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("ollama/ollama:latest", NO_VERSION),
        ("ollama/ollama", NO_VERSION),
        ("localhost:5000/ollama", NO_VERSION),
        ("", NO_VERSION),
        ("registry/ollama:1 --privileged", NO_VERSION),
        ("ollama/ollama:0.32.15@sha256:12", "is not a digest reference. Fix: write name@sha256:<64 hex digits>"),
        (7, "is not a digest reference."),
    ],
)
def test_an_image_without_a_version_is_refused_with_the_fix(image: Any, problem: str) -> None:
    (line,) = problems({"larder:images": {"ollama": image}})
    assert line.startswith(f"larder:images.ollama: {image!r} {problem}")


@pytest.mark.parametrize(
    ("cache", "path"),
    [
        (_block({"image": "registry/ollama:1"}), "larder:cache.prebuilt-image.image"),
        (
            {"larder:cache": {"strategy": "image-volume", "image-volume": {"images": {"alpha": "registry/alpha:1"}}}},
            "larder:cache.image-volume.images.alpha",
        ),
    ],
)
def test_images_of_weights_require_a_digest(cache: dict[str, Any], path: str) -> None:
    """The publisher prints the digest, and a Job checks the image behind it against the plan."""
    (line,) = problems(cache)
    assert line.startswith(f"{path}: 'registry/")
    assert "has no digest, and tags move" in line


def test_a_build_requires_only_the_name_of_the_image() -> None:
    block = settings(_block({"build": {"to": TO}})).cache.of(PrebuiltImageSettings)
    assert block
    assert block.build
    assert (block.image, block.build.platforms, block.build.builder) == (None, ["linux/amd64"], None)


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({}, f"has neither image nor build. {ONE}"),
        ({"image": IMAGE, "build": {"to": TO}}, f"has both image and build. {ONE}"),
    ],
)
def test_a_block_has_either_an_image_or_a_build(block: dict[str, Any], problem: str) -> None:
    assert problems(_block(block)) == [f"larder:cache.prebuilt-image: {problem}"]


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        ({}, "to: is missing. Fix: add it. Name of the image without a tag, as in registry.example/prebuilt/ollama"),
        ({"to": "prebuilt/ollama"}, "to: 'prebuilt/ollama' is not allowed here. Name of the image"),
        ({"to": f"{TO}:1"}, f"to: '{TO}:1' is not allowed here. "),
        ({"to": f"https://{TO}"}, f"to: 'https://{TO}' is not allowed here. "),
        ({"to": TO, "platforms": []}, "platforms: must not be empty. Fix: add an item. The platforms of the nodes"),
        ({"to": TO, "platforms": ["windows/amd64"]}, "platforms[0]: 'windows/amd64' is not one of the choices."),
        ({"to": TO, "builder": "a b"}, "builder: 'a b' is not allowed here. A builder that `docker buildx ls` lists"),
        ({"to": TO, "push": True}, "push: unknown key. "),
    ],
)
def test_an_invalid_build_is_refused_with_the_fix(build: dict[str, Any], problem: str) -> None:
    (line,) = problems(_block({"build": build}))
    assert line.startswith(f"larder:cache.prebuilt-image.build.{problem}")
