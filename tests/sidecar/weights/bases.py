"""Images of engines as registries have them, small enough to be looked through."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.publish.engine_image import CONFIGS, INDEXES, MANIFESTS
from larder_sidecar.weights.publish.image import Document
from larder_sidecar.weights.publish.layer import Descriptor
from larder_sidecar.weights.publish.registry import Registry
from larder_sidecar.weights.publish.upload import Uploads
from larder_sidecar.weights.publish.upload_state import UploadStates

from tests.sidecar.weights.kitchen import PATIENCE

OCI, DOCKER = 0, 1
"""Families of media types: indexes into those of engine_image."""
LAYERS = ("application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip")
REPOSITORY = "engines/llm"


@dataclass
class Base:
    """An image for some platforms, as JSON values that a test may spoil before it is pushed."""

    dialect: int = OCI
    platforms: tuple[str, ...] = ("linux/amd64", "linux/arm64/v8")
    index: bool = True
    config: Mapping[str, Any] = field(default_factory=lambda: {"Entrypoint": ["/bin/llm"], "User": "1000:1000"})
    layer_type: str = ""
    schema: int = 2
    blobs: dict[str, bytes] = field(default_factory=dict)
    """By digest: configs and layers."""

    def made(self) -> tuple[list[bytes], bytes]:
        """The manifests, and what the image's own digest is of."""
        manifests = [self._manifest(platform) for platform in self.platforms]
        if not self.index:
            return [], manifests[0]
        listed = [
            {**_described(MANIFESTS[self.dialect], content), "platform": _platform(platform)}
            for content, platform in zip(manifests, self.platforms, strict=True)
        ]
        # As BuildKit leaves its attestations.
        listed.append({**listed[0], "platform": {"architecture": "unknown", "os": "unknown"}})
        value = {"schemaVersion": 2, "mediaType": INDEXES[self.dialect], "manifests": listed}
        return manifests, json.dumps(value).encode()

    def push(self, host: str, store: Any, *, whole: bool = True) -> str:
        """Push it; the digest. Not `whole`: blobs stay behind."""
        manifests, top = self.made()
        with Registry(host, plain_http=True) as registry, UploadStates(store) as sessions:
            uploads = Uploads(registry, sessions, Reporter(io.StringIO()), PATIENCE)
            for digest, content in self.blobs.items() if whole else ():
                uploads.push(REPOSITORY, Descriptor("", digest, len(content)), _from(content))
            for content in (*manifests, top):
                media_type = json.loads(content).get(
                    "mediaType", "application/vnd.docker.distribution.manifest.v1+json"
                )
                digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
                registry.push_manifest(REPOSITORY, digest, Document(content, Descriptor(media_type, digest, 0)))
        return f"sha256:{hashlib.sha256(top).hexdigest()}"

    def _manifest(self, platform: str) -> bytes:
        tar = _tar({"bin/llm": platform.encode(), "etc/passwd": b"x"})
        layer = gzip.compress(tar, mtime=0)
        about = {
            **_platform(platform),
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
            "history": [{"created_by": "COPY llm"}, {"created_by": "USER 1000", "empty_layer": True}],
        }
        config = json.dumps(about, indent=1).encode()
        for content in (layer, config):
            self.blobs[f"sha256:{hashlib.sha256(content).hexdigest()}"] = content
        value = {
            "schemaVersion": self.schema,
            "mediaType": MANIFESTS[self.dialect],
            "config": _described(CONFIGS[self.dialect], config),
            "layers": [_described(self.layer_type or LAYERS[self.dialect], layer)],
        }
        return json.dumps(value).encode()


def _platform(text: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def _described(media_type: str, content: bytes) -> dict[str, Any]:
    return {
        "mediaType": media_type,
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "size": len(content),
    }


def _tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _from(content: bytes) -> Any:
    def chunks(start: int) -> Iterator[bytes]:
        yield content[start:]

    return chunks
