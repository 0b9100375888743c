"""weights.json: the files of the models, by the catalog."""

from collections.abc import Iterable

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.weights import ModelWeights, OllamaRecipe, WeightsPlan


def weights_plan(entries: Iterable[CatalogEntry], endpoint: str) -> WeightsPlan:
    """Return weights.json for these models, with files of a hub from the one at `endpoint`."""
    return WeightsPlan(models=[_weights(entry, endpoint) for entry in entries])


def _weights(entry: CatalogEntry, endpoint: str) -> ModelWeights:
    return ModelWeights(
        id=entry.id,
        served_names=[entry.id],
        format=entry.format,
        files=entry.source.weights(endpoint),
        # The catalog counts memory at this context: Ollama must not choose another one.
        ollama=OllamaRecipe(template=entry.ollama.template, params={"num_ctx": entry.context, **entry.ollama.params}),
    )
