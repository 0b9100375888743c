"""From catalog entries to weights.json: which files a store must hold."""

from collections.abc import Iterable

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.weights import ModelWeights, OllamaRecipe, WeightsFile, WeightsPlan


def weights_plan(entries: Iterable[CatalogEntry], endpoint: str) -> WeightsPlan:
    """The plan for these models, with files from the hub at `endpoint`."""
    return WeightsPlan(models=[_weights(entry, endpoint) for entry in entries])


def _weights(entry: CatalogEntry, endpoint: str) -> ModelWeights:
    hub = entry.hub
    return ModelWeights(
        id=entry.id,
        served_names=[entry.id],
        format=entry.format,
        files=[
            WeightsFile(
                path=file.path,
                url=f"{endpoint}/{hub.repo}/resolve/{hub.revision}/{file.path}",
                revision=hub.revision,
                bytes=file.bytes,
                sha256=file.sha256,
            )
            for file in hub.files
        ],
        # The entry's memory is counted at its context: Ollama must not choose another one.
        ollama=OllamaRecipe(template=entry.ollama.template, params={"num_ctx": entry.context, **entry.ollama.params}),
    )
