"""A weights image is the same bytes from the same weights, and a tar of one file a layer."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from larder_sidecar.weights.errors import ImageError
from larder_sidecar.weights.publish.image import build_image, index_layer
from larder_sidecar.weights.publish.layer import Descriptor, Layer, make_tar
from larder_sidecar.weights.store.image_index import INDEX, ImageFile, read_contents

CONTENT = b"weights" * 1000


def test_a_layer_holds_its_file_and_the_folders_above_it(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(CONTENT)
    tar = b"".join(Layer("models/part/a.gguf", tmp_path / "blob", len(CONTENT)).chunks())
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        entries = archive.getmembers()
        assert [(e.name, e.isdir(), oct(e.mode)) for e in entries] == [
            ("models", True, "0o755"),
            ("models/part", True, "0o755"),
            ("models/part/a.gguf", False, "0o644"),
        ]
        assert {(e.mtime, e.uid, e.gid, e.uname, e.gname) for e in entries} == {(0, 0, 0, "", "")}
        extracted = archive.extractfile("models/part/a.gguf")
        assert extracted
        assert extracted.read() == CONTENT
    assert len(tar) % 512 == 0


def test_what_a_manifest_says_of_a_layer_is_what_the_stream_is() -> None:
    layer = Layer("models/a", CONTENT, len(CONTENT))
    tar = b"".join(layer.chunks())
    descriptor, sha256 = layer.describe()
    assert (descriptor.digest, descriptor.size) == (f"sha256:{hashlib.sha256(tar).hexdigest()}", len(tar))
    assert sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_the_bytes_of_an_image_are_fixed() -> None:
    """Digests are written into stack files: what changes them, also a newer Python, is a change for users."""
    held = ImageFile(bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    layers = [Layer("models/a.gguf", CONTENT, len(CONTENT)), index_layer("a", [("a.gguf", held)])]
    image = build_image("a", [layer.describe()[0] for layer in layers])
    assert image.index.descriptor.digest == "sha256:7dc9d6ccc2f71ef2ba57a3ea153f88be2146f8d8c92469ce45bbef5e4b022921"


def test_every_platform_gets_the_same_layers_and_their_digests_as_diff_ids() -> None:
    layer = Descriptor("application/vnd.oci.image.layer.v1.tar", f"sha256:{'a' * 64}", 1024)
    image = build_image("tiny", [layer])
    index = json.loads(image.index.content)
    assert [m["platform"] for m in index["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux"},
    ]
    for listed, manifest, config in zip(index["manifests"], image.manifests, image.configs, strict=True):
        assert listed["digest"] == manifest.descriptor.digest
        said = json.loads(manifest.content)
        assert said["layers"] == [layer.to_dict()]
        assert said["config"] == config.descriptor.to_dict()
        assert json.loads(config.content)["rootfs"] == {"type": "layers", "diff_ids": [layer.digest]}
        assert json.loads(config.content)["architecture"] == listed["platform"]["architecture"]


def test_a_file_beyond_eight_gibibytes_has_a_header_that_holds_its_size() -> None:
    folder = 512
    headers = next(Layer("models/a", CONTENT, 9 * 2**30).chunks())[folder:]
    with tarfile.open(fileobj=io.BytesIO(headers)) as archive:
        entry = archive.next()
        assert entry
        assert (entry.name, entry.size) == ("models/a", 9 * 2**30)


@pytest.mark.parametrize("start", [0, 1, 511, 1024, 1025, 1024 + 6999, 1024 + 7000, 1024 + 7001, 9000])
def test_a_layer_can_be_read_from_any_byte(start: int) -> None:
    layer = Layer("models/a", CONTENT, len(CONTENT))
    assert b"".join(layer.chunks(start)) == b"".join(layer.chunks())[start:]


def test_small_files_and_links_are_one_layer_in_an_order_of_its_own() -> None:
    files, links = {"b/deep/er": b"x" * 600, "a-b": b"", "a/c": b"y"}, {"b/link": "../a/c"}
    tar = make_tar(files, links)
    assert tar == make_tar(dict(reversed(files.items())), links)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        entries = archive.getmembers()
        assert [e.name for e in entries] == ["a", "a-b", "a/c", "b", "b/deep", "b/deep/er", "b/link"]
        assert [oct(e.mode) for e in entries if e.isdir()] == ["0o755"] * 3
        assert archive.getmember("b/link").linkname == "../a/c"
        extracted = archive.extractfile("b/deep/er")
        assert extracted
        assert extracted.read() == files["b/deep/er"]
    assert len(tar) % 512 == 0


def test_a_file_that_changed_its_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(CONTENT)
    with pytest.raises(ImageError, match="7000 bytes, not 7001"):
        list(Layer("models/a", tmp_path / "blob", 7001).chunks())


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[" * 100_000, b"\xff"])
def test_what_is_no_index_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / INDEX).write_bytes(content)
    with pytest.raises(ImageError, match="no weights image is mounted here"):
        read_contents(tmp_path / INDEX)
