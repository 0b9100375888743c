"""Names: from Pulumi's urns and ids to objects, and back."""

import hashlib

from testbed.plugin.values import Manifest

_PATCH = "Patch"


def identifier(manifest: Manifest) -> str:
    """Return the Pulumi id: `namespace/name`, or the name alone for cluster-scoped kinds."""
    metadata = manifest["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def resource_type(urn: str) -> str:
    """Return the resource type in a urn, without the types of its parents."""
    return urn.split("::")[2].rpartition("$")[2]


def patch_manager(urn: str) -> str | None:
    """Return the field manager of a `…Patch` resource, None for objects: undoing one patch leaves the others."""
    if not resource_type(urn).endswith(_PATCH):
        return None
    return f"pulumi-kubernetes-{hashlib.sha256(urn.encode()).hexdigest()[:8]}"


def identity(urn: str, object_id: str) -> Manifest:
    """Return enough of a manifest to find the object of a resource."""
    namespace, _, name = object_id.rpartition("/")
    _, module, kind = resource_type(urn).split(":")
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": module.removeprefix("core/"), "kind": kind.removesuffix(_PATCH), "metadata": metadata}
