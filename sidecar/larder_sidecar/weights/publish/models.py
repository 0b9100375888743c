"""Publication of each model of a filled store as a weights image in a registry."""

import re
from dataclasses import dataclass
from pathlib import Path

from ...config.weights import COMPONENT, ModelWeights, WeightsPlan
from ..errors import PlanError
from ..store.disk import translate_os_errors
from ..store.image_index import MODELS, ImageFile
from ..store.marker import first_pulls, sha256_of
from .image import build_image, index_layer
from .layer_cache import LayerCache
from .push import Destination, ImagePush, Published
from .upload_state import UploadStates


@dataclass
class PublishModels:
    """A run: pushes each model of `plan` from the store at `root` into a repository named by its id."""

    plan: WeightsPlan
    root: Path
    to: Destination

    def run(self) -> list[Published]:
        """Push the blobs that the registry lacks; the same plan gives the same references. Raises FetchError."""
        for model in self.plan.models:
            if not re.fullmatch(COMPONENT, model.id):
                raise PlanError(
                    f"model {model.id}: this is not a valid name of a repository", "Rename the catalog entry."
                )
        with translate_os_errors(self.root), UploadStates(self.root) as sessions:
            layers, recorded = LayerCache(self.root, self.to.reporter), first_pulls(self.root)
            return [
                self._publish(model, recorded, ImagePush(self.to, model.id, layers, sessions))
                for model in self.plan.models
            ]

    def _publish(self, model: ModelWeights, recorded: dict[str, str], push: ImagePush) -> Published:
        held = sorted((f.path, ImageFile(bytes=f.bytes, sha256=sha256_of(f, recorded))) for f in model.files)
        descriptors = [push.push_weights(f"{MODELS}/{path}", it.sha256, it.bytes) for path, it in held]
        index = index_layer(model.id, held)
        descriptors.append(push.push_content(index.describe()[0], b"".join(index.chunks())))
        published = push.push_image(build_image(model.id, descriptors))
        self.to.reporter.event("pushed", model=model.id, **vars(published))
        return published
