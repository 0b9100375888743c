"""Refusals: requests that cannot be served, and everything that the official plugin does and the stand-in does not."""

from collections.abc import Iterator
from typing import Final

from testbed.plugin import annotations
from testbed.plugin.values import Manifest

_ALWAYS_ON: Final = ("enableConfigMapMutable", "enableSecretMutable")
_SILENT: Final = ("suppressDeprecationWarnings", "suppressHelmHookWarnings")
_OPTIONS: Final = {"clusterIdentifier", "context", *_ALWAYS_ON, "kubeconfig", "version", *_SILENT}
"""Inputs of the provider that the program sets, or the SDK from the environment, as kubeconfig from $KUBECONFIG."""
_TRUE: Final = (True, "true")
_ANNOTATIONS: Final = {"replaceUnready", "skipAwait", "waitFor"}
_SEVERAL_OBJECTS: Final = ("kubernetes:helm.sh/", "kubernetes:kustomize", "kubernetes:yaml")
_AWAITED: Final = {
    "DaemonSet",
    "Ingress",
    "PersistentVolumeClaim",
    "Pod",
    "ReplicationController",
    "ResourceQuota",
    "Service",
    "StatefulSet",
}
"""Kinds that the official plugin waits for (provider/pkg/await/awaiters.go), and readiness.py has no rule for.

The program declares claims and Services, with skipAwait, and none of the others.
"""


class RefusedError(Exception):
    """The request cannot be served; the text says why."""


class NotSupportedError(RefusedError):
    """The official plugin serves the request, and the stand-in does not."""

    def __init__(self, *features: str) -> None:
        super().__init__(f"not supported by the stand-in: {'; '.join(features)}")


def check_options(options: Manifest) -> None:
    """Raise NotSupportedError for inputs of the provider that would be ignored."""
    # The stand-in always applies on the server's side.
    known = {*_OPTIONS, *(key for key in ("enableServerSideApply",) if options.get(key) in _TRUE)}
    given = [key for key, value in options.items() if key not in known and value not in (None, "", False, "false")]
    off = [f"{key} other than true" for key in _ALWAYS_ON if options.get(key) not in _TRUE]
    if given or off:
        raise NotSupportedError(*given, *off)


def check_object(resource_type: str, manifest: Manifest) -> None:
    """Raise NotSupportedError for an object of which something would be ignored."""
    if features := list(_unsupported(resource_type, manifest)):
        raise NotSupportedError(*features)


def _unsupported(resource_type: str, manifest: Manifest) -> Iterator[str]:
    if resource_type.startswith(_SEVERAL_OBJECTS) or "items" in manifest:
        yield f"{resource_type}, because it stands for several objects"
        return
    if not (manifest.get("metadata") or {}).get("name"):
        yield "an object without metadata.name"
    stated = annotations.stated(manifest)
    yield from (f"the annotation pulumi.com/{name}" for name in stated.keys() - _ANNOTATIONS)
    expression = stated.get("waitFor", "")
    if expression and not annotations.can_read(expression):
        yield f"pulumi.com/waitFor: {expression}"
    if manifest.get("kind") in _AWAITED and not expression and not annotations.asks(manifest, "skipAwait"):
        yield f"a wait for a {manifest['kind']}; annotate it with pulumi.com/skipAwait"
