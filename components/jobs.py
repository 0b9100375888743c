"""Jobs that run to their end once: named by content, because Kubernetes lets nobody change one."""

from collections.abc import Iterable

import pulumi
from larder_sidecar.config.weights import LASTING
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.core import v1 as core

from .manifest import Container, Volume, container_security, content_name, labels, metadata, pod_security
from .node_pools import Placement, tolerations
from .settings.node_pools import Taint

RETRIES = 6
"""Failures of a pod before the Job gives up, where trying again may help. Each try resumes where the last one stopped;
the deadline is the bound."""


def run_once(
    name: str,
    description: str,
    *,
    container: Container,
    volumes: list[Volume],
    host: str | None = None,
    placement: Placement | None = None,
    taints: Iterable[Taint] = (),
    deadline_seconds: int,
    namespace: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    content: str = "",
    retries: int = RETRIES,
    image: pulumi.Input[str] | None = None,
) -> batch.Job:
    """A Job `<name>-<hash8>`, on one host, in a pool or wherever there is room; it tolerates `taints` and the pool's.

    `content` is what it reads beside its spec: its change is a new Job too. `image` is what the container runs, where
    its own names by content what has no digest before it is made.
    """
    runs: Container = {**container, "security_context": container_security()}
    pod: core.PodSpecArgsDict = {
        "restart_policy": "Never",  # each try keeps its pod, and with it the reason
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": pod_security(),
        "containers": [runs],
        "volumes": volumes,
    }
    if placement:
        pod["affinity"] = placement.affinity()
        # Its deadline runs from its making: the machines come first.
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[*placement.ready]))
    if tolerated := tolerations([*taints, *(placement.taints if placement else ())]):
        pod["tolerations"] = tolerated
    if host is not None:
        pod["node_selector"] = {"kubernetes.io/hostname": host}
    spec: batch.JobSpecArgsDict = {
        "backoff_limit": retries,
        # A full disk or a wrong name is told at once, not after the pauses between six tries.
        "pod_failure_policy": {
            "rules": [{"action": "FailJob", "on_exit_codes": {"operator": "In", "values": [LASTING]}}]
        },
        "active_deadline_seconds": deadline_seconds,
        "template": {"metadata": {"labels": labels(name)}, "spec": pod},
    }
    called = content_name(name, [spec, content])
    if image is not None:
        runs["image"] = image
    patience = f"{deadline_seconds + 60}s"  # longer than the Job's own deadline, so that its reason is the one told
    return batch.Job(
        name,
        metadata=metadata(
            called,
            description,
            of=name,
            namespace=namespace,
            # A failed Job stays failed: the next `up` has to make it anew instead of waiting for it again.
            annotations={"pulumi.com/replaceUnready": "true"},
        ),
        spec=spec,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                # Two Jobs at once would wait for each other's lock on the store.
                delete_before_replace=True,
                custom_timeouts=pulumi.CustomTimeouts(create=patience, update=patience),
            ),
        ),
    )
