"""URLs of kinds, from one request to the API server per group and version."""

import threading

from testbed.plugin.client import ApiError, Client, segment
from testbed.plugin.values import Manifest


class NoSuchKindError(Exception):
    """The API server serves no such apiVersion and kind: usually a CRD that is not there yet."""


class Discovery:
    """Resource paths of one API server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, tuple[str, bool]]] = {}

    def namespaced(self, manifest: Manifest) -> bool:
        """Tell whether objects of this kind live in a namespace."""
        return self._resource(manifest)[1]

    def collection(self, manifest: Manifest) -> str:
        """Return the URL path that lists and creates objects like this one."""
        plural, namespaced = self._resource(manifest)
        root = _root(manifest["apiVersion"])
        if not namespaced:
            return f"{root}/{plural}"
        return f"{root}/namespaces/{segment(manifest['metadata']['namespace'])}/{plural}"

    def object(self, manifest: Manifest) -> str:
        """Return the URL path of this very object."""
        return f"{self.collection(manifest)}/{segment(manifest['metadata']['name'])}"

    def _resource(self, manifest: Manifest) -> tuple[str, bool]:
        version, kind = manifest["apiVersion"], manifest["kind"]
        with self._lock:
            if kind not in self._known.get(version, {}):
                self._known[version] = self._ask(version)
            try:
                return self._known[version][kind]
            except KeyError:
                missing = f'no matches for kind "{kind}" in version "{version}"'
                raise NoSuchKindError(f"Verify that any required CRDs have been created: {missing}") from None

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
