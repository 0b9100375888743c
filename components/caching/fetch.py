"""The container that fills a store with the plan, by one of the modes of `larder-sidecar fetch`."""

from larder_sidecar.config.layout import STORE

from ..manifest import TMP, Container, VolumeMount, container_security, environment
from ..settings.quantities import in_mebibytes
from ..settings.room import pod_copy
from .base import Demand

START_SECONDS = 30
"""Part of a Job's time that its pod may take to start."""


def fetch_container(
    demand: Demand, *mounts: VolumeMount, way: tuple[str, ...] = (), on_node: bool = False
) -> Container:
    """Return the container of `larder-sidecar fetch` on the mounted store; `way` are its options.

    `on_node` is True if the store is on the node's own disk: the pod then requests that room.
    """
    disk = {"ephemeral-storage": in_mebibytes(pod_copy(demand.plan.total_bytes()))} if on_node else {}
    return {
        "name": "fetch",
        "image": demand.image,
        "command": ["larder-sidecar"],
        "args": ["fetch", "--config", demand.config.path, "--root", STORE, *way],
        # The root is read-only; the hub's client keeps its cache and its token lookup under HOME.
        "env": environment({"HOME": "/tmp"}),  # noqa: S108 (an emptyDir of this pod)
        "volume_mounts": [*mounts, demand.config.mount(), {"name": TMP, "mount_path": "/tmp"}],  # noqa: S108
        # `fetch` streams through small buffers: the limit covers the interpreter, the hub's client and page cache.
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi", **disk}, "limits": {"memory": "512Mi"}},
        "termination_message_policy": "FallbackToLogsOnError",
        "security_context": container_security(),
    }


def wait_options(demand: Demand) -> tuple[str, ...]:
    """Return the options of a fetch that writes nothing, and waits until the store holds the plan."""
    return ("--wait", str(demand.budget_seconds))


def retry_options(demand: Demand) -> tuple[str, ...]:
    """Return the options of a fetch that retries, and ends before the deadline of its Job so that its reason shows."""
    return ("--patience", str(demand.budget_seconds - START_SECONDS))
