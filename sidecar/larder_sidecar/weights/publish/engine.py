"""The publish role: an engine's image from a registry, with the weights of a filled store inside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...config.weights import WeightsPlan
from ..store.disk import explained
from ..store.marker import first_pulls
from ..store.ollama_layout import blob_path
from .engine_image import INDEXES, MANIFESTS, STORE_OF, Base, Listed, base_of, chosen, config_of, listed, on_bases
from .layer import LAYER, Descriptor, described
from .layer_cache import Layers
from .push import Destination, Press, Published
from .registry import Registry
from .store_layers import STORE, sha256_of, store_tree
from .upload import patiently
from .upload_state import Sessions


@dataclass(frozen=True)
class Engine:
    """An image by digest, at the registry that has it."""

    registry: Registry
    repository: str
    digest: str

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.registry.host}/{self.repository}@{self.digest}"


@dataclass
class PublishEngine:
    """One run: the store at `root`, as far as it is of `plan`, upon `engine`, for `platforms` or all it has."""

    plan: WeightsPlan
    root: Path
    to: Destination
    engine: Engine
    platforms: Sequence[str] = ()

    def run(self) -> Published:
        """Push what the registry lacks; the same plan and base give the same reference. Raises FetchError."""
        name = self.engine.repository.rpartition("/")[2]
        with explained(self.root), Sessions(self.root) as sessions:
            # All that can be wrong with the base is found before a byte is sent.
            bases = self._bases()
            press = Press(self.to, name, Layers(self.root, self.to.reporter), sessions)
            for layer in dict.fromkeys(layer for base in bases for layer in base.layers):
                press.blob(layer, partial(self.engine.registry.blob, self.engine.repository, layer), self._siblings())
            published = press.image(on_bases(bases, self.engine.digest, self._layers(press)))
        self.to.reporter.event("pushed", engine=name, plan=self.plan.digest(), **vars(published))
        return published

    def _layers(self, press: Press) -> list[tuple[Descriptor, str]]:
        """The weights, then the store around them: a template that changes moves no weights."""
        recorded = first_pulls(self.root)
        sizes = {sha256_of(file, recorded): file.bytes for model in self.plan.models for file in model.files}
        layers = [
            (press.weights(f"{STORE}/{blob_path(sha256)}", sha256, size), f"weights {sha256}")
            for sha256, size in sorted(sizes.items())
        ]
        store = store_tree(self.plan, self.root, recorded)
        return [*layers, (press.small(described(LAYER, store), store), f"{STORE_OF}{self.plan.digest()}")]

    def _siblings(self) -> list[str]:
        here = self.engine.registry.host == self.to.registry.host
        return [self.engine.repository] if here else []

    def _bases(self) -> list[Base]:
        top = self._manifest(self.engine.digest)
        found = listed(top, self.engine.name)
        if found is None:
            base = self._base(None, top)
            chosen([base.listed], self.platforms, self.engine.name)
            return [base]
        wanted = chosen(found, self.platforms, self.engine.name)
        return [self._base(it, self._manifest(it.digest)) for it in wanted]

    def _base(self, it: Listed | None, manifest: bytes) -> Base:
        where = f"{self.engine.name} ({it.name})" if it else self.engine.name
        config = config_of(manifest, where)
        self.to.reporter.event("base", engine=where)
        about = self._patiently(lambda: b"".join(self.engine.registry.blob(self.engine.repository, config)))
        return base_of(it, manifest, about, where)

    def _manifest(self, digest: str) -> bytes:
        accept = (*INDEXES, *MANIFESTS)
        return self._patiently(lambda: self.engine.registry.manifest(self.engine.repository, digest, accept))

    def _patiently(self, attempt: Callable[[], bytes]) -> bytes:
        return patiently(attempt, self.to.patience, self.to.reporter)
