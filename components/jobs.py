"""Jobs that run to their end once: named by content, because Kubernetes lets nobody change one."""

from collections.abc import Iterable

import pulumi
from pulumi_kubernetes.batch import v1 as batch

from .manifest import Container, Volume, container_security, content_name, labels, metadata, pod
from .node_pools import Placement, tolerations
from .settings.node_pools import Taint


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
    image: pulumi.Input[str] | None = None,
) -> batch.Job:
    """Declare a Job `<name>-<hash8>`, on one host, in a pool or anywhere; it tolerates `taints` and the pool's.

    `content` is what it reads beside its spec: its change is a new Job too. `image` is what the container runs, where
    its own names by content what has no digest before it is made.
    """
    runs: Container = {
        **container,
        "security_context": container_security(),
        # The plugin shows a failed pod's termination message, and what was killed has left none.
        "termination_message_policy": "FallbackToLogsOnError",
    }
    spec_of_pod = pod(
        {
            "restart_policy": "Never",  # the failed pod stays, and with it the reason
            "containers": [runs],
            "volumes": volumes,
        }
    )
    if placement:
        spec_of_pod["affinity"] = placement.affinity()
        # Its deadline runs from its making: the machines come first.
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[*placement.ready]))
    if tolerated := tolerations([*taints, *(placement.taints if placement else ())]):
        spec_of_pod["tolerations"] = tolerated
    if host is not None:
        spec_of_pod["node_selector"] = {"kubernetes.io/hostname": host}
    spec: batch.JobSpecArgsDict = {
        # One pod: what may go away by itself is tried again inside it (fetch --patience). `up` has to end at once where
        # no other try helps, and Pulumi's plugin knows a failed Job by the reasons BackoffLimitExceeded and
        # DeadlineExceeded alone (pulumi-kubernetes 4.32, checker/job/check.go): after FailJob it would go on waiting.
        "backoff_limit": 0,
        # A pod that gives way to a drain, an eviction, a preemption or a node's end did not fail: another one goes on.
        "pod_failure_policy": {
            "rules": [{"action": "Ignore", "on_pod_conditions": [{"type": "DisruptionTarget", "status": "True"}]}]
        },
        "active_deadline_seconds": deadline_seconds,
        "template": {"metadata": {"labels": labels(name)}, "spec": spec_of_pod},
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
