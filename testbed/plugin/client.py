"""The Kubernetes REST API over plain HTTPS: what one object needs, and errors as the server states them."""

import json
from typing import Final
from urllib.parse import quote, urlencode

import urllib3

from testbed.plugin.kubeconfig import Cluster
from testbed.plugin.refusals import RefusedError
from testbed.plugin.values import Manifest

REQUEST_TIMEOUT: Final = 30.0  # seconds; the API server answers within its own 60 s or not at all
CONNECTIONS: Final = 16  # that stay open; Pulumi runs 4 operations a CPU at once
FIELD_MANAGER: Final = "pulumi-kubernetes"


class UnreachableError(RefusedError):
    """No API server answers at the address."""


class ApiError(Exception):
    """The API server's refusal: its HTTP status, its machine-readable reason and its own words."""

    def __init__(self, code: int, reason: str, message: str, details: Manifest) -> None:
        super().__init__(message)
        self.code, self.reason, self.details = code, reason, details


class Client:
    """One API server; safe to use from many threads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        # Never a second try: a POST that got through and lost its answer must not be sent twice.
        self._pool = urllib3.HTTPSConnectionPool(
            cluster.host,
            cluster.port,
            ssl_context=cluster.tls,
            timeout=REQUEST_TIMEOUT,
            maxsize=CONNECTIONS,
            retries=False,
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def get(self, path: str, **query: str) -> Manifest:
        """GET an object, a list or a discovery document."""
        return self._request("GET", path, query=query)

    def create(self, path: str, manifest: Manifest, *, dry_run: bool) -> Manifest:
        """POST: fails with AlreadyExists instead of taking over what is there (official plugin since 4.29)."""
        return self._request("POST", path, manifest, query=_write(dry_run=dry_run))

    def apply(
        self, path: str, manifest: Manifest, *, force: bool, dry_run: bool, manager: str = FIELD_MANAGER
    ) -> Manifest:
        """Server-side apply under a field manager, ours where none is named."""
        query = _write(dry_run=dry_run) | {"fieldManager": manager, "force": "true" if force else "false"}
        return self._request("PATCH", path, manifest, query=query, content="application/apply-patch+yaml")

    def json_patch(self, path: str, operations: list[Manifest]) -> Manifest:
        """PATCH by a JSON patch (RFC 6902)."""
        return self._request("PATCH", path, operations, content="application/json-patch+json")

    def delete(self, path: str, propagation: str) -> Manifest:
        """Ask for deletion; finalizers may keep the object for a while."""
        return self._request("DELETE", path, {"kind": "DeleteOptions", "propagationPolicy": propagation})

    def _request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: dict[str, str] | None = None,
        content: str = "application/json",
    ) -> Manifest:
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {"Accept": "application/json", "Content-Type": content}
        if self._cluster.token:
            headers["Authorization"] = f"Bearer {self._cluster.token}"
        payload = None if body is None else json.dumps(body).encode()
        try:
            response = self._pool.request(method, target, body=payload, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            msg = f"configured Kubernetes cluster is unreachable: {self._cluster.server}: {error}"
            raise UnreachableError(msg) from error
        try:
            answer: Manifest = json.loads(response.data) if response.data else {}
        except ValueError:
            answer = {"message": response.data[:500].decode(errors="replace")}
        if response.status >= 400:
            message = answer.get("message") or f"{method} {path}: HTTP {response.status}"
            raise ApiError(response.status, answer.get("reason", ""), message, answer.get("details") or {})
        return answer


def _write(*, dry_run: bool) -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})


def segment(name: str) -> str:
    """Return a name as one path segment, with any character quoted."""
    return quote(name, safe="")
