"""Objects that keep every rule, and a way to break them."""

import copy
import json
from typing import Any

from policies.rule import Resource

DIGEST = f"sha256:{'0' * 64}"
SECURE = {
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}
SIZE = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}


def container(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": f"registry/{name}@{DIGEST}", "securityContext": SECURE, "resources": SIZE, **more}


GATEWAY = container(
    "gateway", restartPolicy="Always", command=["larder-sidecar"], args=["gateway", "--config", "/etc/larder/f.json"]
)
OLLAMA = container("ollama", env=[{"name": "OLLAMA_HOST", "value": "127.0.0.1:11434"}])
ON_ONE_NODE = {"kubernetes.io/hostname": "venus"}


def deployment(pod: dict[str, Any] | None = None, **spec: Any) -> Resource:
    """Return the Deployment of an engine with its gateway, merged with `pod` and `spec`."""
    whole = {"initContainers": [GATEWAY], "containers": [OLLAMA], **(pod or {})}
    return resource("apps/v1:Deployment", "ollama", {"spec": {"template": {"spec": whole}, **spec}})


def job(**changes: Any) -> Resource:
    """Return a Job with one container of a neutral name."""
    pod = {"containers": [container("proof", **changes)]}
    return resource("batch/v1:Job", "preflight", {"spec": {"template": {"spec": pod}}})


def engine(**changes: Any) -> Resource:
    """Return the Deployment with another engine's container."""
    return deployment({"containers": [{**OLLAMA, **changes}]})


def runtime(**changes: Any) -> Resource:
    security = {key: value for key, value in SECURE.items() if key != "runAsNonRoot"}
    vllm = {"name": "vllm", "image": f"vllm@{DIGEST}", "securityContext": security, **changes}
    return resource("serving.kserve.io/v1alpha1:ServingRuntime", "vllm", {"spec": {"containers": [vllm]}})


def service(model: dict[str, Any] | None = None, **predictor: Any) -> Resource:
    """Return the InferenceService for the runtime."""
    whole = {"securityContext": {"runAsNonRoot": True}, "model": {"resources": SIZE, **(model or {})}, **predictor}
    return resource("serving.kserve.io/v1beta1:InferenceService", "llm", {"spec": {"predictor": whole}})


def network_policy(source: dict[str, Any] | None, name: str = "llm") -> Resource:
    rule = {"from": [source]} if source else {}
    selected = {"matchLabels": {"serving.kserve.io/inferenceservice": name}}
    spec = {"podSelector": selected, "policyTypes": ["Ingress"], "ingress": [rule]}
    return resource("networking.k8s.io/v1:NetworkPolicy", "llm", {"spec": spec})


def config_map(stack: str = "prod", **data: str) -> Resource:
    return resource("core/v1:ConfigMap", "config", {"data": data}, stack=stack)


def gateway_file(mutations: str) -> str:
    return json.dumps({"schema": 1, "auth": {"mutations": mutations}})


def volume(*, protect: bool = True, policy: str = "Retain") -> Resource:
    spec = {"persistentVolumeReclaimPolicy": policy}
    return resource("core/v1:PersistentVolume", "weights", {"spec": spec}, protect=protect)


def claim(mode: str = "ReadWriteOnce", *, protect: bool = True) -> Resource:
    return resource("core/v1:PersistentVolumeClaim", "weights", {"spec": {"accessModes": [mode]}}, protect=protect)


def mounting(**pod: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}}], **pod}


def resource(type_: str, name: str, props: dict[str, Any], *, stack: str = "prod", protect: bool = False) -> Resource:
    metadata = {"name": name, "namespace": "ai"}
    return Resource(
        type=f"kubernetes:{type_}",
        name=name,
        props=copy.deepcopy({"metadata": metadata, **props}),
        stack=stack,
        protect=protect,
    )
