"""Publication of an engine's image from a registry with the weights of a filled store inside."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...config import layout
from ...config.weights import FIRST_PULL, WeightsPlan
from ..retry import retry_request
from ..store.disk import translate_os_errors
from ..store.gguf import check_gguf
from ..store.marker import Marker, Stored, first_pulls, marker_path, sha256_of
from ..store.ollama_layout import StoredFile, blob_path, lay_out
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
from .layer import LAYER, Descriptor, describe_content, make_tar
from .layer_cache import LayerCache
from .push import Destination, ImagePush, Published
from .registry import Registry
from .upload_state import UploadStates

STORE = layout.STORE.removeprefix("/")
"""Path of the store in every pod, which the program sets as OLLAMA_MODELS."""
_EPOCH = "1970-01-01T00:00:00+00:00"


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


def store_tar(plan: WeightsPlan, root: Path, recorded: Mapping[str, str]) -> bytes:
    """Return the tar of all files but the weights: manifests, links and the marker. Raises FetchError."""
    small: dict[str, bytes] = {}
    links: dict[str, str] = {}
    held: dict[str, Stored] = {}
    for model in plan.models:
        placed = [
            StoredFile(sha256, file.bytes, check_gguf(root / blob_path(sha256), plan.name_of(file)))
            for file in model.files
            for sha256 in [sha256_of(file, recorded)]
        ]
        made = lay_out(model, placed)
        small |= {**made.blobs, **made.manifests}
        links |= made.links
        held |= {blob_path(file.sha256): Stored(bytes=file.bytes, modified=0, sha256=file.sha256) for file in placed}
        weights = {path: target.rpartition("-")[2] for path, target in made.links.items()}
        held |= {path: held[blob_path(sha256)] for path, sha256 in weights.items()}
    held |= {
        path: Stored(bytes=len(content), modified=0, sha256=hashlib.sha256(content).hexdigest())
        for path, content in small.items()
    }
    marker = Marker(
        plan=plan.digest(),
        completed_at=_EPOCH,
        seconds=0,
        fetched_bytes=0,
        files=held,
        first_pull={f.url: recorded[f.url] for m in plan.models for f in m.files if f.sha256 == FIRST_PULL},
    )
    small[str(marker_path(Path(), plan.digest()))] = marker.to_json().encode()
    return make_tar(
        {f"{STORE}/{path}": content for path, content in small.items()},
        {f"{STORE}/{path}": target for path, target in links.items()},
    )
