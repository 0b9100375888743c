"""The container that fills a store, or waits until it is filled."""

from ..manifest import TMP, Container, VolumeMount, container_security, environment
from .base import STORE, Demand


def fetch_container(demand: Demand, store: VolumeMount, *, wait_seconds: int | None = None) -> Container:
    """`larder-sidecar fetch` on the mounted store. With `wait_seconds` it only reads, until the plan is there."""
    arguments = ["fetch", "--config", demand.config.path, "--root", STORE]
    if wait_seconds is not None:
        arguments += ["--wait", str(wait_seconds)]
    return {
        "name": "fetch",
        "image": demand.image,
        "command": ["larder-sidecar"],
        "args": arguments,
        # The root is read-only; the hub's client keeps its cache and its token lookup under HOME.
        "env": environment({"HOME": "/tmp"}),  # noqa: S108 (an emptyDir of this pod)
        "volume_mounts": [store, demand.config.mount(), {"name": TMP, "mount_path": "/tmp"}],  # noqa: S108
        # Streams through small buffers: the limit is the interpreter, the hub's client, and room for page cache.
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "termination_message_policy": "FallbackToLogsOnError",
        "security_context": container_security(),
    }
