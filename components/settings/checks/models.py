"""Checks of larder:models against the catalog."""

from collections.abc import Iterator

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.weights import FIRST_PULL

from ..base import DEV
from ..names import choices, did_you_mean
from ..problem import Problem
from ..served import ambiguous, served
from ..stack_file import StackFile

KEY = "larder:models"


def check(file: StackFile) -> Iterator[Problem]:
    """Yield models without an entry, models without a sha256 outside of dev, and names that two models share."""
    found = list(_entries(file))
    yield from found
    if not found and (reason := ambiguous(served(file.entries, {}))):
        yield Problem(KEY, reason)


def _entries(file: StackFile) -> Iterator[Problem]:
    entries = file.catalog.entries
    for index, model in enumerate(file.settings.models):
        if model in file.catalog.wrong:
            continue
        if model not in entries:
            yield Problem(
                f"{KEY}[{index}]",
                f"unknown model {model!r}. {did_you_mean(model, entries)}Known models: {choices(entries)}. "
                "Fix: choose one of them or add it to catalog/models/.",
            )
        elif file.stack != DEV and (unhashed := _unhashed(entries[model])):
            yield Problem(
                f"{KEY}[{index}]",
                f"catalog/models/{model}.yaml has no sha256 for {', '.join(unhashed)} ({FIRST_PULL}), which only stack "
                f"{DEV} accepts. Fix: pull it once in {DEV} and write the recorded hash into the entry.",
            )


def _unhashed(entry: CatalogEntry) -> list[str]:
    return [file.path for file in entry.files if file.sha256 == FIRST_PULL]
