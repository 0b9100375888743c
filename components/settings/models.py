"""larder:models: which catalog models the platform serves."""

from typing import Annotated

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.weights import FIRST_PULL
from pydantic import AfterValidator, Field, ValidationInfo

from .base import DEV, Known
from .names import choices, did_you_mean


def in_catalog(model: str, info: ValidationInfo) -> str:
    """Refuse an id without a catalog entry, and one whose weights cannot be verified outside of dev."""
    if (known := Known.of(info)) is None:
        return model
    if (entry := known.catalog.get(model)) is None:
        msg = (
            f"unknown model {model!r}. {did_you_mean(model, known.catalog)}"
            f"Known models: {choices(known.catalog)}. Choose one of them or add it to catalog/models/."
        )
        raise ValueError(msg)
    unhashed = [file.path for file in entry.hub.files if file.sha256 == FIRST_PULL]
    if unhashed and known.stack != DEV:
        msg = (
            f"catalog/models/{model}.yaml has no sha256 for {', '.join(unhashed)} ({FIRST_PULL}), "
            f"which only stack {DEV} accepts. Pull it once in {DEV} and write the recorded hash into the entry."
        )
        raise ValueError(msg)
    return model


def _distinct(models: list[str], info: ValidationInfo) -> list[str]:
    if twice := sorted({m for m in models if models.count(m) > 1}):
        msg = f"{twice[0]!r} is listed twice. List each model once."
        raise ValueError(msg)
    known = Known.of(info)
    holders: dict[str, str] = {}
    for entry in [known.catalog[m] for m in models] if known else []:
        for name in names_of(entry):
            if (other := holders.setdefault(name.casefold(), entry.id)) != entry.id:
                msg = (
                    f"the name {name!r} stands for both {other!r} and {entry.id!r}. "
                    "Serve one of them, or drop the alias from a catalog entry."
                )
                raise ValueError(msg)
    return models


def names_of(entry: CatalogEntry) -> list[str]:
    """Every name a request may use for the model, its id first."""
    return [entry.id, *entry.aliases]


Models = Annotated[list[Annotated[str, AfterValidator(in_catalog)]], Field(min_length=1), AfterValidator(_distinct)]
"""Catalog ids. The first one answers requests that name no model unless larder:gateway.default says otherwise."""
