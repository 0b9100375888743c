"""Reads the raw stack config as `Settings`, and reports all of its problems at once."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
from larder_sidecar.catalog import load_catalog
from larder_sidecar.catalog.models import CatalogError
from larder_sidecar.config.base import kebab
from pydantic import TypeAdapter, ValidationError

from .base import Catalog
from .checks import check_block, check_stacks
from .errors import SettingsError, block_problems, entry_problems, limited
from .former import understood
from .manager import API_TOKEN, SET_TOKEN
from .names import choices, did_you_mean
from .places import Place
from .problem import Problem, Unread
from .readable import readable
from .root import Settings
from .sources import NAMESPACE, encrypted_keys, raw_config
from .stack_file import StackFile


def read(root: Path) -> Settings:
    """Read the settings of the running stack. Raises SettingsError, which Pulumi prints line by line."""
    settings = parse(raw_config(), stack=pulumi.get_stack(), catalog=read_catalog(root), encrypted=encrypted_keys())
    for note in settings.notes:
        pulumi.log.warn(note)
    return settings


def read_catalog(root: Path) -> Catalog:
    """Read the catalog of the project at `root`, with the problems of its files. Raises SettingsError."""
    try:
        return Catalog(load_catalog(root / "catalog" / "models"))
    except CatalogError as error:
        return Catalog(error.entries, {name: tuple(entry_problems(name, why)) for name, why in error.wrong.items()})
    except OSError as error:
        raise SettingsError([Problem("catalog/models", f"cannot be read: {error.strerror}.")]) from error


def parse(raw: Mapping[str, Any], *, stack: str, catalog: Catalog, encrypted: frozenset[str] = frozenset()) -> Settings:
    """Read `larder:` keys. Raises SettingsError with all problems of the blocks and the catalog."""
    former = understood(raw, catalog)
    raw = former.raw
    problems = [problem for wrong in catalog.wrong.values() for problem in wrong] + former.problems
    problems += _of_keys(raw, encrypted)
    written = frozenset(key.removeprefix(NAMESPACE) for key, value in raw.items() if value is not None)
    file = StackFile(
        stack=stack, catalog=catalog, written=written, has_token=API_TOKEN in raw, notes=tuple(former.notes)
    )
    for name in Settings.model_fields:
        block, found = _block(name, raw, encrypted)
        read = replace(file, blocks={**file.blocks, **block})
        known = {problem.path for problem in found}
        more = [problem for problem in check_block(name, read) if problem.path not in known]
        found += limited(NAMESPACE + kebab(name), more)
        # The checks of other blocks would only repeat its problems.
        file = file if found else read
        problems += found
    problems += check_stacks(file)
    if problems:
        raise SettingsError(problems)
    return file.settings


def _of_keys(raw: Mapping[str, Any], encrypted: frozenset[str]) -> Iterator[Problem]:
    keys = [NAMESPACE + kebab(name) for name in Settings.model_fields]
    for key in raw:
        if key not in {*keys, API_TOKEN}:
            yield Problem(key, f"unknown key. {_near(key, keys)}Fix: use one of {choices(keys)}.")
    if API_TOKEN in raw and API_TOKEN not in encrypted:
        yield Problem(API_TOKEN, f"is in plain text in the stack file. Fix: remove it and run `{SET_TOKEN}`.")


def _block(name: str, raw: Mapping[str, Any], encrypted: frozenset[str]) -> tuple[dict[str, Any], list[Problem]]:
    """Return a block by the name of its field, as far as it can be read, and the problems of its shape."""
    field, key = Settings.model_fields[name], NAMESPACE + kebab(name)
    if key in encrypted:
        # The program would write its value into ConfigMaps and outputs in plain text.
        fix = "is encrypted, but none of its settings is a secret. Fix: set it without --secret."
        return {}, [Problem(key, fix)]
    if raw.get(key) is None:
        if field.is_required():
            return {}, [Problem(key, f"is missing. Fix: add it. {field.description}")]
        return {name: field.get_default(call_default_factory=True, validated_data={})}, []
    try:
        return {name: _shape(name).validate_python(raw[key])}, []
    except ValidationError as error:
        found = block_problems(key, field, error)
        with suppress(Unread):
            return {name: readable(Place.of(field), raw[key], [problem["loc"] for problem in error.errors()])}, found
        return {}, found


@functools.cache
def _shape(name: str) -> TypeAdapter[Any]:
    # pydantic takes constraints and validators out of Annotated[…]; `rebuild_annotation` restores them.
    return TypeAdapter(Settings.model_fields[name].rebuild_annotation())


def _near(key: str, keys: Iterable[str]) -> str:
    # Compared without the namespace, which every key shares.
    near = did_you_mean(key.removeprefix(NAMESPACE), [k.removeprefix(NAMESPACE) for k in keys])
    return near.replace("'", f"'{NAMESPACE}", 1)
