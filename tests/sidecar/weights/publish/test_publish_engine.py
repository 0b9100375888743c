"""publish --engine: the base as it is, the weights upon it where engines look, and the same bytes each time."""

import gzip
import io
import json
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.cli import main
from larder_sidecar.config.layout import gguf_path
from larder_sidecar.weights.errors import ContentError, DeniedError, HubError, ImageError, NotFoundError, TransientError
from larder_sidecar.weights.oci import IMAGE_INDEX, MANIFEST
from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.publish import registry
from larder_sidecar.weights.publish.engine import Engine, PublishEngine
from larder_sidecar.weights.publish.layer import LAYER, Descriptor
from larder_sidecar.weights.publish.push import Destination, Published
from larder_sidecar.weights.publish.registry import Registry
from larder_sidecar.weights.store.marker import find_faults, read_marker, wait_for
from larder_sidecar.weights.store.ollama_layout import manifest_path

from tests.sidecar.weights.bases import DOCKER, LAYERS, OCI, REPOSITORY, Base
from tests.sidecar.weights.kitchen import PATIENCE, Kitchen
from tests.sidecar.weights.registries import SmallRegistry


def publish(
    kitchen: Kitchen, host: str, digest: str, *platforms: str, base_host: str = "", prefix: str = "prebuilt"
) -> Published:
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    with Registry(host, plain_http=True) as registry, Registry(base_host or host, plain_http=True) as source:
        to = Destination(registry, prefix, Reporter(kitchen.log), PATIENCE)
        engine = Engine(registry if not base_host else source, REPOSITORY, digest)
        return PublishEngine(plan, kitchen.root, to, engine, platforms).run()


def get(host: str, path: str) -> bytes:
    accept = {"Accept": f"{IMAGE_INDEX}, {MANIFEST}"}
    with urllib.request.urlopen(urllib.request.Request(f"http://{host}/v2/{path}", headers=accept)) as answer:
        return bytes(answer.read())


def images(host: str, published: Published) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Manifest and config by platform, found by following digests."""
    repository, _, digest = published.reference.removeprefix(f"{host}/").partition("@")
    index = json.loads(get(host, f"{repository}/manifests/{digest}"))
    found = {}
    for it in index["manifests"]:
        manifest = json.loads(get(host, f"{repository}/manifests/{it['digest']}"))
        config = json.loads(get(host, f"{repository}/blobs/{manifest['config']['digest']}"))
        found["/".join(it["platform"][key] for key in ("os", "architecture"))] = (manifest, config)
    return found


def unpacked(host: str, manifest: dict[str, Any], folder: Path) -> list[tarfile.TarInfo]:
    """Unpack the layers as a runtime does; return their entries."""
    folder.mkdir()
    entries: list[tarfile.TarInfo] = []
    for layer in manifest["layers"]:
        content = get(host, f"prebuilt/llm/blobs/{layer['digest']}")
        tar = gzip.decompress(content) if layer["mediaType"].endswith("gzip") else content
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            archive.extractall(folder)  # `filter` is newer than the Python of Debian 12
            entries += archive.getmembers()
    return entries


@pytest.mark.parametrize("dialect", [OCI, DOCKER], ids=["oci", "docker"])
def test_every_platform_of_the_base_gets_the_weights_upon_its_own_layers(
    kitchen: Kitchen, host: str, tmp_path: Path, dialect: int
) -> None:
    kitchen.publish("one"), kitchen.publish("two", seed=2)
    base = Base(dialect)
    pushed = publish(kitchen, host, base.push(host, tmp_path / "base"))
    found = images(host, pushed)
    assert list(found) == ["linux/amd64", "linux/arm64"]
    for platform, (manifest, config) in found.items():
        assert [layer["mediaType"] for layer in manifest["layers"]] == [LAYERS[OCI], LAYER, LAYER, LAYER]
        assert config["config"] == base.config
        assert len(config["rootfs"]["diff_ids"]) == 4
        assert config["rootfs"]["diff_ids"][1:] == [layer["digest"] for layer in manifest["layers"][1:]]
        assert sum(not entry.get("empty_layer") for entry in config["history"]) == 4
        root = tmp_path / platform.replace("/", "-")
        unpacked(host, manifest, root)
        assert (root / "bin/llm").read_text().startswith(platform)
        store, plan = root / "weights/ollama", kitchen.plan("http://elsewhere", "one", "two")
        wait_for(plan, store, 0, Reporter(None))
        for name in ("one", "two"):
            assert (store / manifest_path(name)).read_bytes() == (kitchen.root / manifest_path(name)).read_bytes()
            assert (store / gguf_path(name)).read_bytes() == (kitchen.root / gguf_path(name)).read_bytes()


def test_whoever_runs_the_engine_reads_them_and_nobody_writes_them(
    kitchen: Kitchen, small: SmallRegistry, tmp_path: Path
) -> None:
    kitchen.publish()
    pushed = publish(kitchen, small.host, Base().push(small.host, tmp_path / "base"))
    manifest, _ = images(small.host, pushed)["linux/amd64"]
    ours = [it for it in unpacked(small.host, manifest, tmp_path / "root") if it.name.startswith("weights")]
    assert {(it.uid, it.gid, it.mtime) for it in ours} == {(0, 0, 0)}
    assert {oct(it.mode) for it in ours if it.isdir()} == {"0o755"}
    assert {oct(it.mode) for it in ours if it.isfile()} == {"0o644"}
    store, plan = tmp_path / "root/weights/ollama", kitchen.plan("http://elsewhere")
    marker = read_marker(store, plan.digest())
    assert marker
    assert find_faults(store, marker) == []


def test_the_same_weights_upon_the_same_base_are_the_same_image_whenever_and_wherever(
    kitchen: Kitchen, host: str, tmp_path: Path
) -> None:
    kitchen.publish()
    digest = Base().push(host, tmp_path / "base")
    first, second = publish(kitchen, host, digest), publish(kitchen, host, digest)
    assert first.reference == second.reference
    assert (second.uploaded_bytes, second.reused_bytes) == (0, first.uploaded_bytes + first.reused_bytes)
    kitchen.root = tmp_path / "another store"
    elsewhere = publish(kitchen, host, digest, prefix="other")
    assert elsewhere.reference.partition("@")[2] == first.reference.partition("@")[2]


def test_layers_of_a_base_beside_it_are_taken_over_and_those_of_another_registry_copied(
    kitchen: Kitchen, small: SmallRegistry, tmp_path: Path
) -> None:
    kitchen.publish()
    base = Base()
    digest = base.push(small.host, tmp_path / "base")
    layers = {d for d, content in base.blobs.items() if content[:2] == b"\x1f\x8b"}
    before = len(small.requests)
    beside = publish(kitchen, small.host, digest)
    mounted = [line for line in small.requests[before:] if "mount=" in line]
    assert {digest for digest in layers if any(digest in line for line in mounted)} == layers
    with SmallRegistry().running() as other:
        copied = publish(kitchen, other.host, digest, base_host=small.host)
        assert {f"/v2/prebuilt/llm/blobs/{digest}" for digest in layers} <= other.stored.keys()
    assert copied.reference.partition("@")[2] == beside.reference.partition("@")[2]
    assert copied.uploaded_bytes - beside.uploaded_bytes == sum(len(base.blobs[digest]) for digest in layers)


def test_weights_that_another_engine_here_has_are_taken_over(
    kitchen: Kitchen, small: SmallRegistry, tmp_path: Path
) -> None:
    kitchen.publish()
    digest = Base().push(small.host, tmp_path / "base")
    publish(kitchen, small.host, digest)
    assert publish(kitchen, small.host, digest, prefix="other").uploaded_bytes < 30_000  # the small files


def test_one_platform_may_be_chosen_and_a_base_may_have_only_one(
    kitchen: Kitchen, small: SmallRegistry, tmp_path: Path
) -> None:
    kitchen.publish()
    both = Base().push(small.host, tmp_path / "base")
    assert list(images(small.host, publish(kitchen, small.host, both, "linux/arm64"))) == ["linux/arm64"]
    alone = Base(platforms=("linux/arm64",), index=False).push(small.host, tmp_path / "base")
    assert list(images(small.host, publish(kitchen, small.host, alone))) == ["linux/arm64"]


@pytest.mark.parametrize(
    ("base", "platforms", "words"),
    [
        (Base(), ("linux/s390x",), r"has no linux/s390x; it has linux/amd64, linux/arm64/v8"),
        (Base(index=False), ("linux/arm64",), r"has no linux/arm64; it has linux/amd64"),
        (Base(platforms=("windows/amd64",)), (), r"has no platform; it has no platform of Linux"),
        (Base(schema=1), (), r"a manifest of schema 1 is not supported as a base"),
        (
            Base(layer_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
            (),
            r"a layer of type .*foreign",
        ),
    ],
    ids=["platform", "single platform", "windows", "schema 1", "foreign layer"],
)
def test_a_base_that_cannot_be_built_upon_is_refused_before_a_byte_is_sent(
    kitchen: Kitchen, small: SmallRegistry, tmp_path: Path, base: Base, platforms: tuple[str, ...], words: str
) -> None:
    kitchen.publish()
    digest = base.push(small.host, tmp_path / "base")
    before = len(small.asked("POST"))
    with pytest.raises(ImageError, match=words):
        publish(kitchen, small.host, digest, *platforms)
    assert len(small.asked("POST")) == before


def test_a_digest_that_the_registry_does_not_have_is_named(kitchen: Kitchen, host: str) -> None:
    kitchen.publish()
    with pytest.raises(NotFoundError, match=rf"{REPOSITORY}: not found \(404.*that its image exists"):
        publish(kitchen, host, f"sha256:{'7' * 64}")


@pytest.mark.parametrize("spoilt", ["truncated", "other"])
def test_a_layer_that_is_not_its_digest_ends_the_run(
    kitchen: Kitchen, small: SmallRegistry, tmp_path: Path, spoilt: str
) -> None:
    kitchen.publish()
    base = Base(platforms=("linux/amd64",))
    digest = base.push(small.host, tmp_path / "base")
    layer = next(d for d, content in base.blobs.items() if content[:2] == b"\x1f\x8b")
    path = f"/v2/{REPOSITORY}/blobs/{layer}"
    was = small.stored[path]
    small.stored[path] = was[:-7] if spoilt == "truncated" else b"\0" * len(was)
    with SmallRegistry().running() as other:
        with pytest.raises(ContentError, match=r"has \d+ of \d+ bytes, or other content"):
            publish(kitchen, other.host, digest, base_host=small.host)
        assert f"/v2/prebuilt/llm/blobs/{layer}" not in other.stored
        assert not any("/manifests/" in path for path in other.stored)


def test_a_registry_that_sends_more_than_it_named_is_heard_no_further(
    small: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config is kept in memory."""
    monkeypatch.setattr(registry, "_READ", 1 << 10)
    digest = f"sha256:{'5' * 64}"
    small.stored[f"/v2/{REPOSITORY}/blobs/{digest}"] = bytes(1 << 20)
    taken: list[bytes] = []
    with Registry(small.host, plain_http=True) as asked, pytest.raises(ContentError, match="of 10 bytes"):
        taken.extend(asked.blob(REPOSITORY, Descriptor("application/json", digest, 10)))
    assert taken == []


def test_a_manifest_that_is_not_its_digest_ends_the_run(kitchen: Kitchen, small: SmallRegistry, tmp_path: Path) -> None:
    kitchen.publish()
    digest = Base().push(small.host, tmp_path / "base")
    small.stored[f"/v2/{REPOSITORY}/manifests/{digest}"] += b" "
    with pytest.raises(ContentError, match="a manifest does not have its digest"):
        publish(kitchen, small.host, digest)


def test_layers_that_are_missing_are_the_registrys_fault(
    kitchen: Kitchen, small: SmallRegistry, tmp_path: Path
) -> None:
    kitchen.publish()
    digest = Base().push(small.host, tmp_path / "base", whole=False)
    with pytest.raises(NotFoundError, match="not found \\(404"):
        publish(kitchen, small.host, digest)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, DeniedError, "may read there with --token-file"),
        (503, TransientError, "answers 503"),
        (400, HubError, "Check that this is a registry"),
    ],
)
def test_a_registry_that_does_not_give_the_base_says_why(
    kitchen: Kitchen, small: SmallRegistry, tmp_path: Path, status: int, error: type[HubError], words: str
) -> None:
    kitchen.publish()
    digest = Base().push(small.host, tmp_path / "base")
    small.fail = [status] * 9
    with pytest.raises(error, match=words):
        publish(kitchen, small.host, digest)


def test_the_command_prints_the_reference_for_the_stack_file(
    kitchen: Kitchen, small: SmallRegistry, tmp_path: Path, capsys: Any
) -> None:
    kitchen.publish()
    digest = Base().push(small.host, tmp_path / "base")
    (kitchen.folder / "weights.json").write_text(kitchen.plan(kitchen.hub()).to_json())
    words = ["publish", "--config", str(kitchen.folder / "weights.json"), "--root", str(kitchen.root), "--plain-http"]
    engine = f"{small.host}/{REPOSITORY}@{digest}"
    assert main([*words, "--to", f"{small.host}/prebuilt", "--engine", engine, "--platform", "linux/amd64"]) == 0
    *_, pushed, done = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert pushed["reference"].startswith(f"{small.host}/prebuilt/llm@sha256:")
    assert pushed["engine"] == "llm"
    assert done["uploaded_bytes"] == pushed["uploaded_bytes"] > 0


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("docker.io/ollama/ollama:latest", "is not pinned"),
        (f"ollama/ollama@sha256:{'1' * 64}", "is not an image with its registry"),
        ("docker.io/ollama/ollama@sha256:12", "is not an image with its registry"),
    ],
)
def test_an_engine_that_is_not_named_by_digest_is_refused(engine: str, words: str, capsys: Any) -> None:
    assert main(["publish", "--to", "localhost:1/x", "--engine", engine]) == 1
    assert words in capsys.readouterr().err


def test_an_image_that_holds_weights_already_is_no_base(kitchen: Kitchen, small: SmallRegistry, tmp_path: Path) -> None:
    """It would serve the models that it was made with too, which may be those that somebody dropped."""
    kitchen.publish()
    made = publish(kitchen, small.host, Base().push(small.host, tmp_path / "base"), prefix="engines")
    assert f"/{REPOSITORY}@" in made.reference
    with pytest.raises(ImageError, match="contains weights already"):
        publish(kitchen, small.host, made.reference.partition("@")[2])
