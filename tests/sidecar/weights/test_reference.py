"""Names of images and places, as people write them on a command line."""

import pytest
from larder_sidecar.weights.errors import PlanError
from larder_sidecar.weights.reference import ImageName, Place, image_name, place

DIGEST = f"sha256:{'1' * 64}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("registry.example/weights", Place("registry.example", "weights")),
        ("localhost:5000/a/b__c/d-e.f", Place("localhost:5000", "a/b__c/d-e.f")),
        ("[::1]:5000/weights", Place("[::1]:5000", "weights")),
    ],
)
def test_a_place_is_a_host_and_a_folder(text: str, found: Place) -> None:
    assert place(text) == found


NO_REPOSITORY = ["a/../b", "a//b", "a/", "../a", "a/.b", "A", "a?b", "a#b", "a@b", "ä", "a\nb", ""]


@pytest.mark.parametrize("name", NO_REPOSITORY)
def test_what_no_registry_has_as_a_repository_is_refused(name: str) -> None:
    """`..` would lead to another repository than the one that is told."""
    with pytest.raises(PlanError):
        place(f"registry.example/{name}")
    with pytest.raises(PlanError):
        image_name(f"registry.example/{name}@{DIGEST}")


def test_the_docker_hub_answers_by_another_name() -> None:
    assert image_name(f"docker.io/ollama/ollama@{DIGEST}") == ImageName("registry-1.docker.io", "ollama/ollama", DIGEST)
