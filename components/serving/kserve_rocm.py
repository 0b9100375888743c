"""The KServe stack: vLLM's ROCm build under KServe's controller, with one InferenceService and one active model."""

from collections.abc import Mapping

import pulumi
from larder_sidecar.config.layout import CLIENTS
from larder_sidecar.config.manager import ID, InferenceService
from pulumi_kubernetes.apiextensions.CustomResource import CustomResource
from pulumi_kubernetes.networking import v1 as networking

from ..caching import Weights
from ..manifest import (
    TMP,
    Untyped,
    camel_case,
    container_security,
    environment,
    metadata,
    pod_base,
    pod_security,
    scratch,
)
from ..names import FRONT, INFERENCE_ANNOTATIONS, INFERENCE_SERVICE, ONE_AT_A_TIME
from ..network import clients_ingress
from ..node_pools import Placement, tolerations
from ..plan.plan import KServePlan
from ..settings.kserve import GPU, KServeSettings
from ..settings.node_pools import Taint
from .stack import Site, Stack
from .workload import HOME, STARTUP_PERIOD

RUNTIME = "vllm-runtime"
FORMAT = "custom"
"""Model format of the ServingRuntime: catalogs use this name, and vLLM detects the real format."""
PREDICTOR = {"serving.kserve.io/inferenceservice": INFERENCE_SERVICE}
"""The label that KServe gives the pods of our InferenceService."""
_OF_THE_GPU = Taint(GPU, "", "NoSchedule")
"""The customary taint of nodes with GPUs."""
GRACE_SECONDS = 60
IMAGE_SECONDS = 900
"""Time to pull vLLM's ROCm image, which is as large as weights."""

# vLLM takes a GGUF model as its file, and other models as their folder. The arguments after `vllm` come last.
_START = """\
for model in /mnt/models/*.gguf; do [ -f "$model" ] || model=/mnt/models; break; done
exec python3 -m vllm.entrypoints.openai.api_server --model="$model" "$@"
"""


class KServeRocm(Stack[KServePlan]):
    """vLLM on AMD GPUs, run by KServe; another active model replaces the pod's model in place."""

    TYPE = "larder:serving:KServeRocm"
    SETTINGS = KServeSettings

    @classmethod
    def pods(cls) -> Mapping[str, str]:
        """Return the label that KServe gives the pods."""
        return PREDICTOR

    def deploy(self, plan: KServePlan, weights: Weights, placement: Placement, site: Site) -> Mapping[str, str]:
        """Register the ServingRuntime, its NetworkPolicy, and the InferenceService if a model is active."""
        namespace = site.namespace
        policy = networking.NetworkPolicy(
            "policy",
            metadata=metadata(
                "larder-kserve",
                "only the front reaches the predictor, which has no egress",
                namespace=namespace,
            ),
            spec={
                "pod_selector": {"match_labels": PREDICTOR},
                "policy_types": ["Ingress", "Egress"],
                "ingress": [clients_ingress(of=FRONT)],
                "egress": [],
            },
            opts=self.child(),
        )
        runtime = CustomResource(
            "runtime",
            api_version="serving.kserve.io/v1alpha1",
            kind="ServingRuntime",
            metadata=metadata(RUNTIME, "the command and settings of vLLM, for any model", namespace=namespace),
            spec=_runtime(plan.image, start_seconds=site.budget_seconds),
            opts=self.child(),
        )
        inference = InferenceService(
            namespace=site.namespace_name,
            name=INFERENCE_SERVICE,
            annotations=INFERENCE_ANNOTATIONS,
            predictor=_predictor(plan, placement, weights.hosts),
            storage_uri=weights.uri,
            sources=dict(weights.uris),
            args=[f"--served-model-name={ID}"],
        )
        self.inference = inference
        self.ready = (*weights.ready, *placement.ready, policy, runtime)
        if active := plan.stack.active:
            patience = f"{GRACE_SECONDS + IMAGE_SECONDS + weights.wait_seconds + site.budget_seconds}s"
            served = inference.of(active)
            CustomResource(
                "service",
                api_version=served["apiVersion"],
                kind=served["kind"],
                metadata=metadata(
                    INFERENCE_SERVICE,
                    "serves the active model",
                    namespace=namespace,
                    annotations={**served["metadata"]["annotations"], "pulumi.com/waitFor": "condition=Ready"},
                ),
                spec=served["spec"],
                opts=self.child(
                    pulumi.ResourceOptions(
                        depends_on=[*self.ready],
                        custom_timeouts=pulumi.CustomTimeouts(create=patience, update=patience),
                    )
                ),
            )
        return {"inferenceService": INFERENCE_SERVICE}


def _runtime(image: str, *, start_seconds: int) -> Untyped:
    health = {"http_get": {"path": "/health", "port": CLIENTS}, "timeout_seconds": 3}
    return camel_case(
        {
            "multi_model": False,
            "supported_model_formats": [{"name": FORMAT, "version": "1", "auto_select": True}],
            "protocol_versions": ["v2", "v1"],
            "containers": [
                {
                    "name": "kserve-container",
                    "image": image,
                    "command": ["/bin/sh", "-c", _START, "vllm"],
                    "args": ["--host=0.0.0.0", f"--port={CLIENTS}", "--dtype=float16", "--gpu-memory-utilization=0.9"],
                    "env": environment(
                        {
                            "HOME": HOME,
                            # The weights are local: vLLM must not look anything up or report usage.
                            "HF_HUB_OFFLINE": "1",
                            "VLLM_NO_USAGE_STATS": "1",
                        }
                    ),
                    "ports": [{"name": "http1", "container_port": CLIENTS, "protocol": "TCP"}],
                    # The other probes start after it succeeds, so that weights of any size have time to load.
                    "startup_probe": {
                        **health,
                        "period_seconds": STARTUP_PERIOD,
                        "failure_threshold": -(-start_seconds // STARTUP_PERIOD),
                    },
                    "readiness_probe": {**health, "period_seconds": 5, "failure_threshold": 3},
                    "liveness_probe": {**health, "period_seconds": 10, "failure_threshold": 12},
                    "volume_mounts": [
                        {"name": "home", "mount_path": HOME},
                        {"name": "shm", "mount_path": "/dev/shm"},  # noqa: S108 (an emptyDir of this pod)
                        {"name": TMP, "mount_path": "/tmp"},  # noqa: S108
                    ],
                    "termination_message_policy": "FallbackToLogsOnError",
                    "security_context": container_security(),
                }
            ],
            "volumes": [
                {"name": "home", "empty_dir": {"size_limit": "4Gi"}},  # vLLM compiles kernels at its first start
                {"name": "shm", "empty_dir": {"medium": "Memory", "size_limit": "1Gi"}},
                scratch(),
            ],
        }
    )


def _predictor(plan: KServePlan, placement: Placement, hosts: tuple[str, ...] | None) -> Untyped:
    stack, size = plan.stack, plan.size
    gpus = {GPU: str(stack.gpus)}
    return camel_case(
        {
            **ONE_AT_A_TIME,
            "termination_grace_period_seconds": GRACE_SECONDS,
            **pod_base(),
            "security_context": {**pod_security(), "supplemental_groups": list(stack.device_groups)},
            "affinity": placement.affinity(hosts),
            "tolerations": tolerations(dict.fromkeys([_OF_THE_GPU, *placement.taints])),
            "model": {
                "model_format": {"name": FORMAT},
                "runtime": RUNTIME,
                "args": [
                    f"--max-model-len={plan.context}",
                    f"--tensor-parallel-size={stack.gpus}",
                    *stack.args,
                ],
                "env": environment(stack.env),
                "resources": {
                    "requests": {"cpu": size.cpu, "memory": size.memory, **gpus},
                    "limits": {"memory": size.memory, **gpus},
                },
            },
        }
    )
