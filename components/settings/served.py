"""Names that models are served under, checked by the gateway's own model of its file."""

from collections.abc import Iterable, Mapping

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.gateway import Engine, GatewayConfig, ServedModel
from pydantic import ValidationError

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


def ambiguous(models: list[ServedModel]) -> str | None:
    """Return the reason for which the gateway would refuse these names at its start, or None."""
    try:
        GatewayConfig(engines=[Engine(kind="ollama", url=_ANY_ENGINE)], models=models)
    except ValidationError as error:
        reason = error.errors()[0]
        return f"{reason.get('ctx', {}).get('error', reason['msg'])}. The gateway would refuse it: choose other names."
    return None
