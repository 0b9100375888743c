"""Jobs that run once. Their names contain a hash of their content, because the pod template of a Job is immutable."""

from collections.abc import Iterable

import pulumi
from pulumi_kubernetes.batch import v1 as batch

from .manifest import Container, Volume, container_security, content_name, labels, metadata, pod
from .names import ROLE, Role
from .node_pools import Placement, tolerations
from .settings.node_pools import Taint


def run_once(
    name: str,
    description: str,
    *,
    role: Role,
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

    `content` is further input, and a change of it makes a new Job too. `image` is what the container runs, where
    its own names by content what has no digest before it is made.
    """
    runs: Container = {
        **container,
        "security_context": container_security(),
        # The plugin shows a failed pod's termination message, and a killed process leaves none.
        "termination_message_policy": "FallbackToLogsOnError",
    }
    spec_of_pod = pod(
        {
            "restart_policy": "Never",  # the failed pod and its reason remain
            "containers": [runs],
            "volumes": volumes,
        }
    )
    if placement:
        spec_of_pod["affinity"] = placement.affinity()
        # The deadline counts from the creation of the Job, so the machines come first.
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[*placement.ready]))
    if tolerated := tolerations([*taints, *(placement.taints if placement else ())]):
        spec_of_pod["tolerations"] = tolerated
    if host is not None:
        spec_of_pod["node_selector"] = {"kubernetes.io/hostname": host}
    spec: batch.JobSpecArgsDict = {
        # One pod: it retries transient errors itself (fetch --patience). `up` must end at once on permanent errors, and
        # Pulumi's plugin recognizes a failed Job by the reasons BackoffLimitExceeded and DeadlineExceeded only
        # (pulumi-kubernetes 4.32, checker/job/check.go): after FailJob it would go on waiting.
        "backoff_limit": 0,
        # A pod that a drain, an eviction, a preemption or a lost node ends did not fail: another pod continues.
        "pod_failure_policy": {
            "rules": [{"action": "Ignore", "on_pod_conditions": [{"type": "DisruptionTarget", "status": "True"}]}]
        },
        "active_deadline_seconds": deadline_seconds,
        "template": {"metadata": {"labels": labels(name)}, "spec": spec_of_pod},
    }
    called = content_name(name, [spec, content])
    if image is not None:
        runs["image"] = image
    patience = f"{deadline_seconds + 60}s"  # longer than the Job's own deadline, so that `up` reports the Job's reason
    return batch.Job(
        name,
        metadata=metadata(
            called,
            description,
            of=name,
            namespace=namespace,
            # A failed Job stays failed, so the next `up` must replace it and not wait for it.
            annotations={"pulumi.com/replaceUnready": "true"},
            # Not a label of its pods: a new pod template is a new Job, which would do its work again.
            more_labels={ROLE: role},
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
