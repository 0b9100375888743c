"""URLs of kinds, from one request to the API server per group and version."""

import threading

from testbed.plugin.client import ApiError, Client, segment
from testbed.plugin.refusals import NotSupportedError, RefusedError
from testbed.plugin.values import Manifest


class NoSuchKindError(RefusedError):
    """The API server serves no such apiVersion and kind: usually a CRD that is not there yet."""


class Discovery:
    """Resource paths of one API server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, tuple[str, bool]]] = {}

    def collection(self, manifest: Manifest) -> str:
        """Return the URL path that lists and creates objects like this one."""
        version, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
        with self._lock:
            if kind not in self._known.get(version, {}):
                self._known[version] = self._ask(version)
            if (resource := self._known[version].get(kind)) is None:
                missing = f'no matches for kind "{kind}" in version "{version}"'
                raise NoSuchKindError(f"Verify that any required CRDs have been created: {missing}")
        plural, namespaced = resource
        if not namespaced:
            return f"{_root(version)}/{plural}"
        if not metadata.get("namespace"):
            raise NotSupportedError(f"a {kind} without metadata.namespace")
        return f"{_root(version)}/namespaces/{segment(metadata['namespace'])}/{plural}"

    def object(self, manifest: Manifest) -> str:
        """Return the URL path of this very object."""
        return f"{self.collection(manifest)}/{segment(manifest['metadata']['name'])}"

    def _ask(self, version: str) -> dict[str, tuple[str, bool]]:
        try:
            resources = self._client.get(_root(version))["resources"]
        except ApiError as error:
            if error.code == 404:
                return {}
            raise
        return {entry["kind"]: (entry["name"], entry["namespaced"]) for entry in resources if "/" not in entry["name"]}


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
