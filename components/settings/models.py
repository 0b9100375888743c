"""larder:models: which catalog models the platform serves."""

from typing import Annotated

from larder_sidecar.config.weights import FIRST_PULL
from pydantic import AfterValidator, Field, ValidationInfo

from .base import DEV, Known
from .names import choices, did_you_mean
from .served import refuse_ambiguous, served


def _in_catalog(model: str, info: ValidationInfo) -> str:
    """Refuse an id without a catalog entry, and one whose weights cannot be verified outside of dev."""
    if (known := Known.of(info)) is None or model in known.catalog.wrong:
        return model
    entries = known.catalog.entries
    if (entry := entries.get(model)) is None:
        msg = (
            f"unknown model {model!r}. {did_you_mean(model, entries)}"
            f"Known models: {choices(entries)}. Choose one of them or add it to catalog/models/."
        )
        raise ValueError(msg)
    unhashed = [file.path for file in entry.files if file.sha256 == FIRST_PULL]
    if unhashed and known.stack != DEV:
        msg = (
            f"catalog/models/{model}.yaml has no sha256 for {', '.join(unhashed)} ({FIRST_PULL}), "
            f"which only stack {DEV} accepts. Pull it once in {DEV} and write the recorded hash into the entry."
        )
        raise ValueError(msg)
    return model


def _distinct(models: list[str], info: ValidationInfo) -> list[str]:
    if twice := sorted({m for m in models if models.count(m) > 1}):
        msg = f"{', '.join(map(repr, twice))}: listed twice. List each model once."
        raise ValueError(msg)
    if (known := Known.of(info)) and not known.catalog.wrong.keys() & models:
        refuse_ambiguous(served(known.catalog.of(models), {}))
    return models


Models = Annotated[
    list[Annotated[str, AfterValidator(_in_catalog)]],
    Field(min_length=1),
    AfterValidator(_distinct),
]
"""Catalog ids. The first one answers where no rule and no default of larder:gateway.routing does."""
