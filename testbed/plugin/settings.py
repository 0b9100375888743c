"""The provider's configuration: what the stand-in honours, and what it refuses instead of pretending."""

from dataclasses import dataclass
from typing import Final

from testbed.plugin.values import Manifest

_REFUSED: Final = (
    "cluster",
    "deleteUnreachable",
    "enablePatchForce",
    "renderYamlToDirectory",
    "skipUpdateUnreachable",
    "upsertExistingObjects",
)
_ALWAYS: Final = ("enableConfigMapMutable", "enableSecretMutable")


@dataclass(frozen=True)
class Settings:
    """Provider inputs as the plugin uses them; None means not set."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None


def refusals(config: Manifest) -> list[tuple[str, str]]:
    """Return the properties that must not be ignored silently, each with the reason."""
    refused = [
        (key, "the stand-in plugin does not have it")
        for key in _REFUSED
        if config.get(key) not in (None, "", False, "false")
    ]
    refused += [
        (key, "the stand-in plugin changes data in place: set it to true")
        for key in _ALWAYS
        if config.get(key) not in (True, "true")
    ]
    if config.get("enableServerSideApply") in (False, "false"):
        refused.append(("enableServerSideApply", "the stand-in plugin knows server-side apply only"))
    return refused


def parse(config: Manifest) -> Settings:
    """Return the settings in provider inputs, secrets opened."""
    stated = (config.get(key) for key in ("kubeconfig", "context", "namespace"))
    return Settings(*(value if isinstance(value, str) and value else None for value in stated))


def replaces_provider(old: Manifest, new: Manifest) -> list[str]:
    """Return the changed inputs that mean another cluster, so that everything on it is made anew.

    The program names its cluster; of one without a name a changed kubeconfig says nothing.
    """
    before, after = old.get("clusterIdentifier"), new.get("clusterIdentifier")
    return ["clusterIdentifier"] if before and after and before != after else []
