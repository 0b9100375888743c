"""How an object gets its name, and how Pulumi's urns and ids lead back to it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from testbed.plugin import annotations
from testbed.plugin.values import UNKNOWN, Manifest


@dataclass(frozen=True)
class Fault:
    """What is wrong with an input property."""

    property: str
    reason: str


def named(manifest: Manifest, before: Manifest, propose: Callable[[], str] | None) -> Fault | None:
    """Give the manifest a name if it states none: the one it had, else a proposed one (None: autonaming is off)."""
    metadata, earlier = manifest["metadata"], before.get("metadata") or {}
    if "name" in metadata and metadata["name"] != "":
        return None
    if "generateName" in metadata:
        why = "does not go with server-side apply; leave it out and the object is named for you"
        return Fault("metadata.generateName", why)
    if (earlier.get("annotations") or {}).get(annotations.AUTONAMED) == "true":
        metadata["name"] = earlier["name"]
    elif propose is None:
        return Fault("metadata.name", "autonaming is off: state a name")
    else:
        metadata["name"] = propose()
    if metadata.get("annotations") is not UNKNOWN:
        metadata["annotations"] = (metadata.get("annotations") or {}) | {annotations.AUTONAMED: "true"}
    return None


def identifier(manifest: Manifest) -> str:
    """The Pulumi id: `namespace/name`, or the name alone for cluster-scoped kinds."""
    metadata = manifest["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def name_in(object_id: str) -> str:
    """The object's name in a Pulumi id."""
    return object_id.rpartition("/")[2]


def resource_type(urn: str) -> str:
    """The resource type in a urn, without the types of its parents."""
    return urn.split("::")[2].rpartition("$")[2]


def patch_manager(urn: str, manifest: Manifest) -> str | None:
    """The field manager of a `…Patch` resource: one each, so that undoing one leaves the others. None for objects."""
    if not resource_type(urn).endswith(f":{manifest.get('kind')}Patch"):
        return None
    return f"pulumi-kubernetes-{hashlib.sha256(urn.encode()).hexdigest()[:8]}"


def identity(known: Manifest, urn: str, object_id: str) -> Manifest:
    """Enough of a manifest to find the object: kind from what is known, else from the type in the urn (an import)."""
    namespace, _, name = object_id.rpartition("/")
    if known.get("kind"):
        version, kind = known["apiVersion"], known["kind"]
    else:
        _, module, kind = resource_type(urn).split(":")
        version = module.removeprefix("core/")
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
    }
