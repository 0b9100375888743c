"""larder:models: the catalog models that the platform serves."""

from typing import Annotated

from larder_sidecar.config.weights import FIRST_PULL
from pydantic import AfterValidator, Field, ValidationInfo

from .base import DEV, Known
from .names import choices, did_you_mean
from .served import refuse_ambiguous, served


def _in_catalog(model: str, info: ValidationInfo) -> str:
    """Raise ValueError if the id has no catalog entry, or no sha256 outside of dev."""
    if (known := Known.of(info)) is None or model in known.catalog.wrong:
        return model
    entries = known.catalog.entries
    if (entry := entries.get(model)) is None:
        msg = (
            f"unknown model {model!r}. {did_you_mean(model, entries)}"
            f"Known models: {choices(entries)}. Fix: choose one of them or add it to catalog/models/."
        )
        raise ValueError(msg)
    unhashed = [file.path for file in entry.files if file.sha256 == FIRST_PULL]
    if unhashed and known.stack != DEV:
        msg = (
            f"catalog/models/{model}.yaml has no sha256 for {', '.join(unhashed)} ({FIRST_PULL}), "
            f"which only stack {DEV} accepts. Fix: pull it once in {DEV} and write the recorded hash into the entry."
        )
        raise ValueError(msg)
    return model


def _distinct(models: list[str], info: ValidationInfo) -> list[str]:
    if twice := sorted({m for m in models if models.count(m) > 1}):
        msg = f"the list repeats {', '.join(map(repr, twice))}. Fix: list each model once."
        raise ValueError(msg)
    if (known := Known.of(info)) and not known.catalog.wrong.keys() & models:
        refuse_ambiguous(served(known.catalog.of(models), {}))
    return models


Models = Annotated[
    list[Annotated[str, AfterValidator(_in_catalog)]],
    Field(min_length=1),
    AfterValidator(_distinct),
]
"""Catalog ids. The first one is the default model unless larder:gateway.routing names another."""
