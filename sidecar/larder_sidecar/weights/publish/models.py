"""The publish role: each model of a filled store as a weights image in a registry."""

import re
from dataclasses import dataclass
from pathlib import Path

from ...config.weights import COMPONENT, ModelWeights, WeightsPlan
from ..errors import PlanError
from ..store.disk import explained
from ..store.image_index import MODELS, Held
from ..store.marker import first_pulls
from .image import assembled, index_layer
from .layer_cache import Layers
from .push import Destination, Press, Published
from .store_layers import sha256_of
from .upload_state import Sessions


@dataclass
class Publish:
    """One run: the models of `plan`, which the store at `root` holds, each in a repository of its id."""

    plan: WeightsPlan
    root: Path
    to: Destination

    def run(self) -> list[Published]:
        """Push what the registry lacks; the same plan gives the same references. Raises FetchError."""
        for model in self.plan.models:
            if not re.fullmatch(COMPONENT, model.id):
                raise PlanError(
                    f"model {model.id}: no registry takes this as the name of a repository", "Rename the entry."
                )
        with explained(self.root), Sessions(self.root) as sessions:
            layers, recorded = Layers(self.root, self.to.reporter), first_pulls(self.root)
            return [
                self._publish(model, recorded, Press(self.to, model.id, layers, sessions)) for model in self.plan.models
            ]

    def _publish(self, model: ModelWeights, recorded: dict[str, str], press: Press) -> Published:
        held = sorted((f.path, Held(bytes=f.bytes, sha256=sha256_of(f, recorded))) for f in model.files)
        descriptors = [press.weights(f"{MODELS}/{path}", it.sha256, it.bytes) for path, it in held]
        index = index_layer(model.id, held)
        descriptors.append(press.small(index.described()[0], b"".join(index.chunks())))
        published = press.image(assembled(model.id, descriptors))
        self.to.reporter.event("pushed", model=model.id, **vars(published))
        return published
