"""publish: what a registry lacks is sent, verified and once; the same weights are the same reference."""

import json
import os
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.cli import main
from larder_sidecar.weights.client.login import Login
from larder_sidecar.weights.errors import ContentError, DeniedError, HubError, ImageError, TransientError
from larder_sidecar.weights.oci import IMAGE_INDEX
from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.publish.models import PublishModels
from larder_sidecar.weights.publish.push import Destination, Published
from larder_sidecar.weights.publish.registry import Registry
from larder_sidecar.weights.store.ollama_layout import blob_path

from tests.sidecar.weights.kitchen import PATIENCE, Kitchen
from tests.sidecar.weights.registries import SmallRegistry


def publish(kitchen: Kitchen, host: str, *names: str) -> list[Published]:
    plan = kitchen.plan(kitchen.hub(), *names)
    kitchen.fetch(plan)
    with Registry(host, plain_http=True) as registry:
        return PublishModels(
            plan, kitchen.root, Destination(registry, "weights", Reporter(kitchen.log), PATIENCE)
        ).run()


def get(host: str, path: str) -> bytes:
    accept = {"Accept": f"{IMAGE_INDEX}, application/vnd.oci.image.manifest.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(f"http://{host}/v2/{path}", headers=accept)) as answer:
        return bytes(answer.read())


def unpacked(host: str, published: Published, folder: Path) -> None:
    """Unpack the image as a runtime does, by following its digests."""
    repository, _, digest = published.reference.removeprefix(f"{host}/").partition("@")
    index: dict[str, Any] = json.loads(get(host, f"{repository}/manifests/{digest}"))
    manifest = json.loads(get(host, f"{repository}/manifests/{index['manifests'][0]['digest']}"))
    for number, layer in enumerate(manifest["layers"]):
        tar = folder.with_name(f"layer-{number}.tar")
        tar.write_bytes(get(host, f"{repository}/blobs/{layer['digest']}"))
        with tarfile.open(tar) as archive:
            archive.extractall(folder)  # `filter` is newer than the Python of Debian 12


def test_each_model_is_an_image_with_its_files_under_models(kitchen: Kitchen, host: str, tmp_path: Path) -> None:
    one, two = kitchen.publish("one"), kitchen.publish("two", seed=2)
    pushed = publish(kitchen, host, "one", "two")
    assert [it.reference.partition("@")[0] for it in pushed] == [f"{host}/weights/one", f"{host}/weights/two"]
    for it, was in zip(pushed, (one, two), strict=True):
        folder = tmp_path / was.path
        unpacked(host, it, folder)
        assert (folder / "models" / was.path).read_bytes() == (kitchen.root / blob_path(was.sha256)).read_bytes()


def test_a_second_run_sends_nothing_and_says_the_same(kitchen: Kitchen, host: str) -> None:
    kitchen.publish()
    (first,), (second,) = publish(kitchen, host), publish(kitchen, host)
    assert first.reference == second.reference
    assert (first.reused_bytes, second.uploaded_bytes) == (0, 0)
    assert second.reused_bytes == first.uploaded_bytes > 0


def test_weights_that_rotted_on_the_disk_are_not_published(kitchen: Kitchen, small: SmallRegistry) -> None:
    it = kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    rot(kitchen.root / blob_path(it.sha256))
    with Registry(small.host, plain_http=True) as registry, pytest.raises(ImageError, match="fetch --verify"):
        PublishModels(plan, kitchen.root, Destination(registry, "weights")).run()
    assert small.stored == {}


def test_a_file_is_read_once_whatever_is_published_of_it_later(kitchen: Kitchen, small: SmallRegistry) -> None:
    it = kitchen.publish()
    (first,) = publish(kitchen, small.host)
    rot(kitchen.root / blob_path(it.sha256))
    assert publish(kitchen, small.host)[0].reference == first.reference  # nobody looked


def test_what_rotted_after_it_was_read_is_refused_by_the_registry_and_then_by_us(
    kitchen: Kitchen, small: SmallRegistry
) -> None:
    it = kitchen.publish()
    publish(kitchen, small.host)
    rot(kitchen.root / blob_path(it.sha256))
    with SmallRegistry().running() as other:
        with pytest.raises(ContentError, match="fetch --verify"):
            publish(kitchen, other.host)
        with pytest.raises(ImageError, match="fetch --verify"):
            publish(kitchen, other.host)
        assert other.stored == {}


def rot(blob: Path) -> None:
    """Other bytes, as many and as old."""
    facts = blob.stat()
    blob.write_bytes(bytes(facts.st_size))
    os.utime(blob, (facts.st_atime, facts.st_mtime))


def test_a_registry_that_is_busy_is_asked_again(kitchen: Kitchen, small: SmallRegistry) -> None:
    kitchen.publish()
    small.fail = [503, 429]
    (it,) = publish(kitchen, small.host)
    assert it.reused_bytes == 0
    small.fail = [503] * 9
    with pytest.raises(TransientError, match="answers 503"):
        publish(kitchen, small.host)


@pytest.mark.parametrize(
    ("status", "error", "remedy"),
    [(401, DeniedError, "--token-file"), (413, HubError, "--chunk-size"), (418, HubError, "its limits")],
)
def test_a_refusal_is_one_line_with_the_registrys_own_words(
    kitchen: Kitchen, small: SmallRegistry, status: int, error: type[HubError], remedy: str
) -> None:
    kitchen.publish()
    small.fail = [404, status]
    with pytest.raises(error, match=rf"weights/tiny: .*the registry .*{status}: DENIED: not you.*\. .*{remedy}"):
        publish(kitchen, small.host)


def test_a_token_never_travels_in_clear_text(small: SmallRegistry, tmp_path: Path, capsys: Any) -> None:
    with Registry(small.host, plain_http=True, login=Login("hunter2", "user:hunter2")) as registry:
        registry.has("a", "sha256:0")
    assert not any("Authorization" in headers for headers in small.headers)
    (tmp_path / "token").write_text("hunter2")
    words = ["publish", "--to", f"{small.host}/w", "--plain-http", "--token-file", str(tmp_path / "token")]
    assert main(words) == 1
    assert "credentials are never sent in clear text" in capsys.readouterr().err


def test_the_command_fills_the_store_and_prints_the_references(
    kitchen: Kitchen, small: SmallRegistry, capsys: Any
) -> None:
    kitchen.publish()
    (kitchen.folder / "weights.json").write_text(kitchen.plan(kitchen.hub()).to_json())
    words = ["publish", "--config", str(kitchen.folder / "weights.json"), "--root", str(kitchen.root)]
    assert main([*words, "--to", f"{small.host}/team/weights", "--plain-http"]) == 0
    *_, pushed, done = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert pushed["reference"].startswith(f"{small.host}/team/weights/tiny@sha256:")
    assert done["uploaded_bytes"] == pushed["uploaded_bytes"]


@pytest.mark.parametrize("place", ["weights", "https://host/weights", "host/", "host/Weights", "host:port/weights"])
def test_a_destination_that_is_none_is_refused(place: str, capsys: Any) -> None:
    assert main(["publish", "--to", place]) == 1
    assert "Write REGISTRY/PREFIX" in capsys.readouterr().err
