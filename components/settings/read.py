"""Reads the raw stack config as `Settings`, and reports all of its problems at once."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
from larder_sidecar.catalog import load_catalog
from larder_sidecar.catalog.models import CatalogError
from larder_sidecar.config.base import kebab
from pydantic import TypeAdapter, ValidationError

from .base import Catalog, Known
from .cache import Cache
from .clusters import ClusterSettings
from .errors import SettingsError, entry_lines, lines
from .former import understood
from .images import Images
from .manager import API_TOKEN, SET_TOKEN
from .names import choices, did_you_mean
from .node_pools import NodePools, hosts_of
from .root import Settings
from .sources import NAMESPACE, encrypted_keys, raw_config
from .stacks import STACKS, shared_out


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
        return Catalog(error.entries, {name: tuple(entry_lines(name, why)) for name, why in error.wrong.items()})
    except OSError as error:
        raise SettingsError([f"catalog/models: cannot be read: {error.strerror}."]) from error


def parse(raw: Mapping[str, Any], *, stack: str, catalog: Catalog, encrypted: frozenset[str] = frozenset()) -> Settings:
    """Read `larder:` keys. Raises SettingsError with all problems of the blocks and the catalog."""
    fields = Settings.model_fields
    keys = {NAMESPACE + kebab(name): name for name in fields}
    former = understood(raw, catalog)
    raw = former.raw
    problems = [line for wrong in catalog.wrong.values() for line in wrong] + former.problems
    problems += [
        f"{key}: unknown key. {_near(key, keys)}Known keys: {choices(keys)}."
        for key in raw
        if key not in {*keys, API_TOKEN}
    ]
    if API_TOKEN in raw and API_TOKEN not in encrypted:
        problems.append(f"{API_TOKEN}: is in plain text in the stack file. Fix: remove it and run `{SET_TOKEN}`.")
    done: dict[str, Any] = {}
    for key, name in keys.items():
        field = fields[name]
        if key in encrypted:
            # The program would write its value into ConfigMaps and outputs in plain text.
            problems.append(f"{key}: is encrypted, but none of its settings is a secret. Fix: set it without --secret.")
        elif raw.get(key) is None:
            if field.is_required():
                problems.append(f"{key}: is missing. {field.description}")
        else:
            try:
                done[name] = _shape(name).validate_python(raw[key], context=_known(stack, catalog, raw, done))
            except ValidationError as error:
                problems += lines(key, field, error)
    known = _known(stack, catalog, raw, done)
    problems += shared_out(known, done)
    if problems:
        raise SettingsError(problems)
    by_alias = {kebab(name): value for name, value in done.items()}
    return Settings.model_validate(by_alias, context=replace(known, notes=tuple(former.notes)))


@functools.cache
def _shape(name: str) -> TypeAdapter[Any]:
    # pydantic takes constraints and validators out of Annotated[…]; `rebuild_annotation` restores them.
    return TypeAdapter(Settings.model_fields[name].rebuild_annotation())


def _known(stack: str, catalog: Catalog, raw: Mapping[str, Any], done: Mapping[str, Any]) -> Known:
    pools: NodePools | None = done.get("node_pools")
    models: list[str] | None = done.get("models")
    cluster: ClusterSettings | None = done.get("cluster")
    cache: Cache | None = done.get("cache")
    images: Images | None = done.get("images")
    return Known(
        stack=stack,
        catalog=catalog,
        pools=None if pools is None else hosts_of(pools),
        gpu_pools=None if pools is None else frozenset(name for name, pool in pools.items() if pool.accelerator),
        stacks={name: stack for name, stack in STACKS.items() if raw.get(NAMESPACE + name) is not None},
        replicated=frozenset(name for name in STACKS if name in done and done[name].replicated > 1),
        named={model: name for name in STACKS if name in done for model in done[name].named},
        strategy=None if cache is None else cache.strategy,
        cluster=cluster,
        models=None if models is None or catalog.wrong.keys() & models else catalog.of(models),
        git_sync=None if images is None else images.git_sync is not None,
        has_token=API_TOKEN in raw,
        manager=raw.get(f"{NAMESPACE}manager") is not None,
        weights_hosts=None if cache is None or pools is None else cache.weights_hosts(hosts_of(pools)),
    )


def _near(key: str, keys: Mapping[str, str]) -> str:
    # Compared without the namespace, which every key shares.
    near = did_you_mean(key.removeprefix(NAMESPACE), [k.removeprefix(NAMESPACE) for k in keys])
    return near.replace("'", f"'{NAMESPACE}", 1)
