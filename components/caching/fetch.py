"""The container that makes a store hold the plan, by one of the ways of `larder-sidecar fetch`."""

from ..manifest import TMP, Container, VolumeMount, container_security, environment
from .base import STORE, Demand


def fetch_container(demand: Demand, *mounts: VolumeMount, way: tuple[str, ...] = ()) -> Container:
    """`larder-sidecar fetch` on the mounted store: from the hub, or the `way` that its options name."""
    return {
        "name": "fetch",
        "image": demand.image,
        "command": ["larder-sidecar"],
        "args": ["fetch", "--config", demand.config.path, "--root", STORE, *way],
        # The root is read-only; the hub's client keeps its cache and its token lookup under HOME.
        "env": environment({"HOME": "/tmp"}),  # noqa: S108 (an emptyDir of this pod)
        "volume_mounts": [*mounts, demand.config.mount(), {"name": TMP, "mount_path": "/tmp"}],  # noqa: S108
        # Streams through small buffers: the limit is the interpreter, the hub's client, and room for page cache.
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "termination_message_policy": "FallbackToLogsOnError",
        "security_context": container_security(),
    }


def waiting(demand: Demand) -> tuple[str, ...]:
    """Only read, until somebody else has filled the store."""
    return ("--wait", str(demand.budget_seconds))
