"""Where the raw stack config comes from: Pulumi's config, and the overlay of the run."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime import config as pulumi_config

from .errors import SettingsError

NAMESPACE = "larder:"
OVERLAY = "LARDER_OVERLAY"
"""Names a YAML file that is merged over the stack config: what belongs to this run and not into a committed file."""


def raw_config() -> dict[str, Any]:
    """Every `larder:` key of the running stack with the overlay merged in. Raises SettingsError."""
    return merged(_of_the_stack(), read_overlay(os.environ.get(OVERLAY)))


def _of_the_stack() -> dict[str, Any]:
    values = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    mine = {key: _parsed(value) for key, value in values.items() if key.startswith(NAMESPACE)}
    secret = {
        *pulumi_config.get_config_secret_keys_env(),
        *(key for key in mine if pulumi.runtime.is_config_secret(key)),
    }
    if hidden := sorted(secret & mine.keys()):
        # Their values go into ConfigMaps and outputs in the clear, which is the opposite of what was asked for.
        raise SettingsError(
            [f"{key}: is encrypted, but none of its settings is a secret. Set it without --secret." for key in hidden]
        )
    return mine


def _parsed(value: str) -> object:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def read_overlay(path: str | None) -> dict[str, Any]:
    """The mapping in the file, nothing without a file. Raises SettingsError."""
    if not path:
        return {}
    try:
        overlay = yaml.safe_load(Path(path).read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError([f"{OVERLAY}: cannot read {path}: {error}"]) from error
    if not isinstance(overlay, dict) or any(not str(key).startswith(NAMESPACE) for key in overlay):
        raise SettingsError([f"{OVERLAY}: {path} must be a mapping of {NAMESPACE}<block> keys."])
    return overlay


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid over it: mappings merge key by key, anything else replaces."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result
