"""The provider's configuration: what the stand-in honours, and what it refuses instead of pretending."""

import json
import os
from dataclasses import dataclass
from typing import Any, Final

from testbed.plugin.diff import Mutable
from testbed.plugin.values import UNKNOWN, Manifest

_REFUSED: Final = {
    "renderYamlToDirectory": "the stand-in plugin renders no files: use `make render`, or the official plugin",
    "upsertExistingObjects": "the stand-in plugin never takes over existing objects: import them",
    "skipUpdateUnreachable": "the stand-in plugin has no such mode",
    "cluster": "the stand-in plugin picks clusters by `context`",
}


@dataclass(frozen=True)
class Settings:
    """Provider inputs as the plugin uses them; None means not set."""

    kubeconfig: str | None
    context: str | None
    namespace: str | None
    mutable: Mutable
    patch_force: bool
    delete_unreachable: bool


def refusals(config: Manifest) -> list[tuple[str, str]]:
    """Properties that must not be ignored silently, each with the reason and what to do."""
    refused = [(key, why) for key, why in _REFUSED.items() if config.get(key) not in (None, "", False, "false")]
    if config.get("enableServerSideApply") in (False, "false"):
        refused.append(("enableServerSideApply", "the stand-in plugin knows server-side apply only"))
    return refused


def parse(config: Manifest) -> Settings:
    """Settings from provider inputs (secrets opened); booleans come as such or as the text `true`."""

    def flag(key: str, variable: str) -> bool:
        return str(config.get(key, os.environ.get(variable, ""))).lower() == "true"

    def text(key: str) -> str | None:
        value = config.get(key)
        return value if isinstance(value, str) and value else None

    kubeconfig: Any = config.get("kubeconfig")
    return Settings(
        kubeconfig=json.dumps(kubeconfig) if isinstance(kubeconfig, dict) else text("kubeconfig"),
        context=text("context"),
        namespace=text("namespace"),
        mutable=Mutable(
            config_maps=flag("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
            secrets=flag("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
        ),
        patch_force=flag("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"),
        delete_unreachable=flag("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE"),
    )


def replaces_provider(old: Manifest, new: Manifest, clusters: tuple[str | None, str | None]) -> list[str]:
    """Which changed inputs mean another cluster, so that everything on it is made anew.

    `clusters` are the identities that the old and the new inputs lead to, None where that cannot be said.
    A cluster identifier, once set on both sides, decides alone.
    """
    before, after = old.get("clusterIdentifier"), new.get("clusterIdentifier")
    if before and after and UNKNOWN not in (before, after):
        return ["clusterIdentifier"] if before != after else []
    where = [key for key in ("kubeconfig", "context") if old.get(key) != new.get(key)]
    if any(new.get(key) is UNKNOWN for key in where):
        return where
    return where if None not in clusters and clusters[0] != clusters[1] else []
