"""larder:models: the catalog models that the platform serves."""

from typing import Annotated

from pydantic import AfterValidator, Field


def _distinct(models: list[str]) -> list[str]:
    if twice := sorted({m for m in models if models.count(m) > 1}):
        msg = f"the list repeats {', '.join(map(repr, twice))}. Fix: list each model once."
        raise ValueError(msg)
    return models


Models = Annotated[list[str], Field(min_length=1), AfterValidator(_distinct)]
"""Catalog ids. The first one is the default model unless larder:gateway.routing names another."""
