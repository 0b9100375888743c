"""Names of images and places, as people write them on a command line."""

from collections.abc import Iterator

import pytest
from larder_sidecar.config.weights import WeightsFile
from larder_sidecar.weights.client.client import Client
from larder_sidecar.weights.errors import PlanError, TransientError
from larder_sidecar.weights.oci import (
    ImageName,
    RegistryFolder,
    parse_destination,
    parse_image_name,
    registry_address,
)
from larder_sidecar.weights.publish.registry import Registry
from larder_sidecar.weights.sources.artifact import Artifact

from tests.sidecar.weights.proxy import Proxy

DIGEST = f"sha256:{'1' * 64}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("registry.example/weights", RegistryFolder("registry.example", "weights")),
        ("localhost:5000/a/b__c/d-e.f", RegistryFolder("localhost:5000", "a/b__c/d-e.f")),
        ("[::1]:5000/weights", RegistryFolder("[::1]:5000", "weights")),
        ("Registry.Example/weights", RegistryFolder("registry.example", "weights")),
    ],
)
def test_a_place_is_a_host_and_a_folder(text: str, found: RegistryFolder) -> None:
    assert parse_destination(text) == found


NO_REPOSITORY = ["a/../b", "a//b", "a/", "../a", "a/.b", "A", "a?b", "a#b", "a@b", "ä", "a\nb", ""]


@pytest.mark.parametrize("name", NO_REPOSITORY)
def test_what_no_registry_has_as_a_repository_is_refused(name: str) -> None:
    """`..` would lead to another repository than the one that is told."""
    with pytest.raises(PlanError):
        parse_destination(f"registry.example/{name}")
    with pytest.raises(PlanError):
        parse_image_name(f"registry.example/{name}@{DIGEST}")


HUB_NAMES = [
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "registry.hub.docker.com",
    "Docker.io",
    "docker.io:443",
    "index.docker.io.",
]


@pytest.mark.parametrize("name", HUB_NAMES)
def test_the_docker_hub_is_one_registry_under_all_its_names(name: str) -> None:
    assert parse_destination(f"{name}/acme") == RegistryFolder("docker.io", "acme")
    assert parse_image_name(f"{name}/ollama/ollama@{DIGEST}") == ImageName("docker.io", "ollama/ollama", DIGEST)
    assert parse_image_name(f"{name}/ubuntu@{DIGEST}") == ImageName("docker.io", "library/ubuntu", DIGEST)
    assert registry_address(name) == "registry-1.docker.io"


@pytest.mark.parametrize("name", ["docker.io.example", "docker.io:5000", "my-docker.io", "localhost:5000"])
def test_another_registry_is_itself(name: str) -> None:
    assert parse_image_name(f"{name}/ubuntu@{DIGEST}") == ImageName(name, "ubuntu", DIGEST)
    assert registry_address(name) == name


@pytest.fixture
def hub_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy that lets nobody through, and tells where it was asked to go."""
    monkeypatch.setenv("NO_PROXY", "")
    with Proxy("nobody", refusal="403 Forbidden") as proxy:
        monkeypatch.setenv("https_proxy", f"http://{proxy.address}")
        yield proxy


@pytest.mark.parametrize("name", HUB_NAMES)
def test_whoever_names_the_docker_hub_asks_the_host_that_answers(hub_proxy: Proxy, name: str) -> None:
    with Registry(name) as registry, pytest.raises(TransientError):
        registry.start("acme/x")
    with Client() as client, pytest.raises(TransientError):
        Artifact(client).metadata(WeightsFile(path="x", url=f"oci://{name}/tiny@{DIGEST}", bytes=1, sha256="1" * 64))
    assert registry.host == "docker.io"
    assert hub_proxy.heads == ["CONNECT registry-1.docker.io:443"] * 2
