"""Sources of the raw stack config: Pulumi's config, and the overlay of the run."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
from larder_sidecar.config.document import DocumentError, load_document
from pulumi.runtime import config as pulumi_config

from .errors import SettingsError
from .problem import Problem

NAMESPACE = "larder:"
OVERLAY = "LARDER_OVERLAY"
"""Variable with the path of a YAML file that is merged over the stack config, for values of one run."""


def raw_config() -> dict[str, Any]:
    """Return every `larder:` key of the running stack with the overlay merged in. Raises SettingsError."""
    return merged(_of_the_stack(), read_overlay(os.environ.get(OVERLAY)))


def _of_the_stack() -> dict[str, Any]:
    values = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    return {key: _parsed(value) for key, value in values.items() if key.startswith(NAMESPACE)}


def encrypted_keys() -> frozenset[str]:
    """Return the keys of the running stack with an encrypted value or part of one."""
    values = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    secret = (key for key in values if pulumi.runtime.is_config_secret(key))
    return frozenset({*pulumi_config.get_config_secret_keys_env(), *secret})


def keys_with_ciphertext(config: Mapping[str, object]) -> frozenset[str]:
    """Return the keys of a stack file with an encrypted value or part of one."""
    return frozenset(key for key, value in config.items() if holds_ciphertext(value))


def holds_ciphertext(value: object) -> bool:
    """Tell if a value of a stack file has an encrypted part, `{secure: …}`."""
    if isinstance(value, Mapping):
        return value.keys() == {"secure"} or any(map(holds_ciphertext, value.values()))
    return isinstance(value, list) and any(map(holds_ciphertext, value))


def _parsed(value: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # no JSON, a number beyond Python's digits, nested beyond its stack
        return value


def read_overlay(path: str | None) -> dict[str, Any]:
    """Return the mapping in the file, empty without a file. Raises SettingsError."""
    if not path:
        return {}
    try:
        overlay = load_document(Path(path)) or {}
    except DocumentError as error:
        raise SettingsError([Problem(OVERLAY, f"cannot read {path}: {error}")]) from error
    if not isinstance(overlay, dict) or any(not str(key).startswith(NAMESPACE) for key in overlay):
        raise SettingsError([Problem(OVERLAY, f"{path} must be a mapping of {NAMESPACE}<block> keys.")])
    return overlay


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` merged with `over`: mappings merge key by key, any other value replaces."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result
