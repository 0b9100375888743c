"""weights.json: what the models of the catalog come to as files."""

from collections.abc import Iterable

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.weights import ModelWeights, OllamaRecipe, WeightsPlan


def weights_plan(entries: Iterable[CatalogEntry], endpoint: str) -> WeightsPlan:
    """weights.json for these models; files on a hub from the one at `endpoint`."""
    return WeightsPlan(models=[_weights(entry, endpoint) for entry in entries])


def _weights(entry: CatalogEntry, endpoint: str) -> ModelWeights:
    return ModelWeights(
        id=entry.id,
        served_names=[entry.id],
        format=entry.format,
        files=entry.source.weights(endpoint),
        # The entry's memory is counted at its context: Ollama must not choose another one.
        ollama=OllamaRecipe(template=entry.ollama.template, params={"num_ctx": entry.context, **entry.ollama.params}),
    )
