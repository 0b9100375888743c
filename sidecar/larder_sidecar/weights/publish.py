"""The publish role: each model of a filled store as a weights image in a registry."""

import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..config.weights import FIRST_PULL, ModelWeights, WeightsFile, WeightsPlan
from .disk import explained
from .errors import ImageError, PlanError, TransientError
from .image import MODELS, Descriptor, Document, Held, Layer, assembled, index_layer
from .marker import first_pulls
from .ollama_store import blob_path
from .patience import Patience
from .progress import Reporter
from .registry import Registry

T = TypeVar("T")
_COMPONENT = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*")
"""Of a repository's name, by the distribution specification."""
TAG_DIGITS = 12


@dataclass(frozen=True)
class Published:
    """An image that is in the registry."""

    model: str
    reference: str
    """host/repository@sha256:…"""
    uploaded_bytes: int
    reused_bytes: int


@dataclass
class Publish:
    """One run: the models of `plan`, which the store at `root` holds, go to `registry` under `prefix`/<model id>."""

    plan: WeightsPlan
    root: Path
    registry: Registry
    prefix: str
    reporter: Reporter = field(default_factory=Reporter)
    patience: Patience = field(default_factory=Patience)

    def run(self) -> list[Published]:
        """Push what the registry lacks; the same plan gives the same references. Raises FetchError."""
        for model in self.plan.models:
            if not _COMPONENT.fullmatch(model.id):
                raise PlanError(
                    f"model {model.id}: no registry takes this as the name of a repository", "Rename the entry."
                )
        with explained(self.root):
            return [self._publish(model, first_pulls(self.root)) for model in self.plan.models]

    def _publish(self, model: ModelWeights, recorded: dict[str, str]) -> Published:
        repository = f"{self.prefix}/{model.id}"
        held = [(f.path, Held(bytes=f.bytes, sha256=_sha256(f, recorded))) for f in model.files]
        layers = [Layer(f"{MODELS}/{path}", self.root / blob_path(it.sha256), it.bytes) for path, it in sorted(held)]
        descriptors, uploaded = [], 0
        for layer in [*layers, index_layer(model.id, held)]:
            descriptor, sha256 = layer.described()
            if isinstance(layer.content, Path) and layer.content.name != f"sha256-{sha256}":
                raise ImageError(
                    f"{layer.content} has sha256 {sha256}", "Mend the store: larder-sidecar fetch --verify"
                )
            descriptors.append(descriptor)
            uploaded += self._push(repository, descriptor, layer.chunks)
        image = assembled(model.id, descriptors)
        for config in image.configs:
            self._push(repository, config.descriptor, partial(iter, (config.content,)))
        for manifest in image.manifests:
            self._push_manifest(repository, manifest.descriptor.digest, manifest)
        digest = image.index.descriptor.digest
        # Named by its content: such a tag never moves, and untagged manifests are garbage to most registries.
        self._push_manifest(repository, f"sha256-{digest.removeprefix('sha256:')[:TAG_DIGITS]}", image.index)
        total = sum(descriptor.size for descriptor in descriptors)
        reference = f"{self.registry.host}/{repository}@{digest}"
        published = Published(model.id, reference, uploaded, total - uploaded)
        self.reporter.event("pushed", **vars(published))
        return published

    def _push(self, repository: str, blob: Descriptor, chunks: Callable[[], Iterator[bytes]]) -> int:
        """Send a blob unless it is there; the bytes that were sent."""
        if self._patiently(lambda: self.registry.has(repository, blob.digest)):
            return 0
        self._patiently(lambda: self.registry.push_blob(repository, blob, self._told(blob, chunks())))
        return blob.size

    def _push_manifest(self, repository: str, reference: str, manifest: Document) -> None:
        self._patiently(lambda: self.registry.push_manifest(repository, reference, manifest))

    def _told(self, blob: Descriptor, chunks: Iterator[bytes]) -> Iterator[bytes]:
        transfer, sent = self.reporter.transfer(blob.digest, total=blob.size, start=0), 0
        for chunk in chunks:
            yield chunk
            sent += len(chunk)
            transfer.at(sent)

    def _patiently(self, attempt: Callable[[], T]) -> T:
        for failures in itertools.count(1):
            try:
                return attempt()
            except TransientError as error:
                if failures >= self.patience.failures:
                    raise
                wait = self.patience.wait(failures, error.wait)
                self.reporter.event("retry", reason=error.reason, wait_seconds=round(wait, 1))
            time.sleep(wait)
        raise AssertionError


def _sha256(file: WeightsFile, recorded: dict[str, str]) -> str:
    return recorded[file.url] if file.sha256 == FIRST_PULL else file.sha256
