"""Publication of an engine's image from a registry with the weights of a filled store inside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...config.weights import WeightsPlan
from ..retry import retry_request
from ..store.disk import translate_os_errors
from ..store.marker import first_pulls, sha256_of
from ..store.ollama_layout import blob_path
from .engine_image import (
    INDEXES,
    MANIFESTS,
    STORE_OF,
    Base,
    PlatformManifest,
    build_engine_image,
    config_descriptor,
    list_platforms,
    parse_base,
    select_platforms,
)
from .layer import LAYER, Descriptor, describe_content
from .layer_cache import LayerCache
from .push import Destination, ImagePush, Published
from .registry import Registry
from .store_layers import STORE, store_tar
from .upload_state import UploadStates


@dataclass(frozen=True)
class Engine:
    """An engine's image by digest, in its registry."""

    registry: Registry
    repository: str
    digest: str

    @property
    def name(self) -> str:
        """Return the name as people write it."""
        return f"{self.registry.host}/{self.repository}@{self.digest}"


@dataclass
class PublishEngine:
    """A run: adds the files of `plan` in the store at `root` to `engine`, for `platforms` or all that it has."""

    plan: WeightsPlan
    root: Path
    to: Destination
    engine: Engine
    platforms: Sequence[str] = ()

    def run(self) -> Published:
        """Push the blobs that the registry lacks; the same plan and base give the same reference. Raises FetchError."""
        name = self.engine.repository.rpartition("/")[2]
        with translate_os_errors(self.root), UploadStates(self.root) as sessions:
            # The base is checked completely before a byte is sent.
            bases = self._read_bases()
            push = ImagePush(self.to, name, LayerCache(self.root, self.to.reporter), sessions)
            for layer in dict.fromkeys(layer for base in bases for layer in base.layers):
                push.push_blob(
                    layer, partial(self.engine.registry.blob, self.engine.repository, layer), self._siblings()
                )
            published = push.push_image(build_engine_image(bases, self.engine.digest, self._layers(push)))
        self.to.reporter.event("pushed", engine=name, plan=self.plan.digest(), **vars(published))
        return published

    def _layers(self, push: ImagePush) -> list[tuple[Descriptor, str]]:
        """Return the layers of the weights, then of the other files: a change of a template moves no weights."""
        recorded = first_pulls(self.root)
        sizes = {sha256_of(file, recorded): file.bytes for model in self.plan.models for file in model.files}
        layers = [
            (push.push_weights(f"{STORE}/{blob_path(sha256)}", sha256, size), f"weights {sha256}")
            for sha256, size in sorted(sizes.items())
        ]
        store = store_tar(self.plan, self.root, recorded)
        return [*layers, (push.push_content(describe_content(LAYER, store), store), f"{STORE_OF}{self.plan.digest()}")]

    def _siblings(self) -> list[str]:
        here = self.engine.registry.host == self.to.registry.host
        return [self.engine.repository] if here else []

    def _read_bases(self) -> list[Base]:
        top = self._read_manifest(self.engine.digest)
        found = list_platforms(top, self.engine.name)
        if found is None:
            base = self._read_base(None, top)
            select_platforms([base.listed], self.platforms, self.engine.name)
            return [base]
        wanted = select_platforms(found, self.platforms, self.engine.name)
        return [self._read_base(it, self._read_manifest(it.digest)) for it in wanted]

    def _read_base(self, it: PlatformManifest | None, manifest: bytes) -> Base:
        where = f"{self.engine.name} ({it.name})" if it else self.engine.name
        config = config_descriptor(manifest, where)
        self.to.reporter.event("base", engine=where)
        about = self._retry(lambda: b"".join(self.engine.registry.blob(self.engine.repository, config)))
        return parse_base(it, manifest, about, where)

    def _read_manifest(self, digest: str) -> bytes:
        accept = (*INDEXES, *MANIFESTS)
        return self._retry(lambda: self.engine.registry.manifest(self.engine.repository, digest, accept))

    def _retry(self, attempt: Callable[[], bytes]) -> bytes:
        return retry_request(attempt, self.to.patience, self.to.reporter)
