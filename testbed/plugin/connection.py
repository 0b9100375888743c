"""The cluster of one provider resource, or the reason why it is out of reach."""

import threading
from dataclasses import dataclass

from testbed.plugin import kubeconfig, settings
from testbed.plugin.client import ApiError, Client, UnreachableError
from testbed.plugin.discovery import Discovery
from testbed.plugin.kubeconfig import KubeconfigError
from testbed.plugin.objects import Objects
from testbed.plugin.rpc import RefusedError
from testbed.plugin.values import Manifest, has_unknown
from testbed.plugin.waiting import Waiting


@dataclass(frozen=True)
class Connection:
    """The default namespace of objects, and the client of the API server."""

    namespace: str
    unreachable: str
    """The reason why the API server is out of reach; empty where it is not."""
    _objects: Objects | None

    @classmethod
    def none(cls, why: str) -> "Connection":
        """Return a connection without a cluster."""
        return cls("default", why, None)

    @classmethod
    def made(cls, config: Manifest, cancelled: threading.Event) -> "Connection":
        """Connect by the provider's inputs; `cancelled` ends every wait on this connection."""
        chosen = settings.parse(config)
        namespace = chosen.namespace or "default"
        if has_unknown([config.get("kubeconfig"), config.get("context")]):
            return cls(namespace, "the kubeconfig is known only after `up`", None)
        try:
            cluster = kubeconfig.read(chosen.kubeconfig, chosen.context, chosen.namespace)
            namespace = cluster.namespace
            client = Client(cluster)
            client.get("/version")
        except (KubeconfigError, UnreachableError, ApiError, OSError) as error:
            return cls(namespace, str(error), None)
        discovery = Discovery(client)
        waiting = Waiting(client, discovery, cancelled)
        return cls(namespace, "", Objects(client, discovery, waiting))

    @property
    def objects(self) -> Objects:
        """Return the objects of the cluster. Raises RefusedError when it is out of reach."""
        if self._objects is None:
            raise RefusedError(f"configured Kubernetes cluster is unreachable: {self.unreachable}")
        return self._objects

    def namespaced(self, manifest: Manifest) -> bool:
        """Tell whether the cluster keeps the kind in namespaces; without a cluster that is not known."""
        if self._objects is None:
            return False
        try:
            return self._objects.namespaced(manifest)
        except (ApiError, UnreachableError) as error:
            raise RefusedError(f"cannot ask the API server about {manifest['kind']}: {error}") from error

    def can_preview(self, manifest: Manifest) -> bool:
        """Tell whether a dry run says anything: all is known, the cluster answers, and it serves the kind."""
        if self._objects is None or has_unknown(manifest):
            return False
        try:
            return self._objects.known(manifest)
        except (ApiError, UnreachableError):
            return False
