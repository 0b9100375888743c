"""Names that models are served under, checked by the gateway's own model of its file."""

from collections.abc import Collection, Iterable, Mapping

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.gateway import Engine, GatewayConfig, ServedModel
from pydantic import ValidationError

from .names import choices, did_you_mean
from .problem import Problem

_ANY_ENGINE = "http://127.0.0.1:1"


def served(entries: Iterable[CatalogEntry], aliases: Mapping[str, str]) -> list[ServedModel]:
    """Return the models with their ids and all aliases. Raises pydantic.ValidationError."""
    return [
        ServedModel(
            id=entry.id,
            engine_name=entry.id,
            aliases=[*entry.aliases, *(alias for alias, model in aliases.items() if model == entry.id)],
        )
        for entry in entries
    ]


def not_listed(path: str, model: str, ids: Collection[str]) -> Problem:
    """Return the problem of a setting at `path` that names a model beside the `ids` of larder:models."""
    near = did_you_mean(model, ids)
    return Problem(path, f"{model!r} is not among larder:models. {near}Fix: choose one of {choices(ids)}.")


def ambiguous(models: list[ServedModel]) -> str | None:
    """Return the reason for which the gateway would refuse these names at its start, or None."""
    try:
        GatewayConfig(engines=[Engine(kind="ollama", url=_ANY_ENGINE)], models=models)
    except ValidationError as error:
        reason = error.errors()[0]
        return f"{reason.get('ctx', {}).get('error', reason['msg'])}. The gateway would refuse it: choose other names."
    return None
