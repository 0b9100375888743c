"""One small manifest of each kind that the program declares, and changes of its fields."""

import copy
from typing import Any

from tests.plugin.pods import UNSCHEDULED
from tests.plugin.stack import CLUSTER_SCOPED

Manifest = dict[str, Any]

HERE = "NAMESPACE"
"""A placeholder for the namespace of a run, also as the first part of the name of a cluster-scoped object."""
ELSEWHERE = f"{HERE}-other"
UNAWAITED = {"pulumi.com/skipAwait": "true"}
LABELS = {"app": "engine"}
POD: Manifest = UNSCHEDULED | {"containers": [{"name": "engine", "image": "engine:1"}]}
KSERVE = "serving.kserve.io/v1alpha1"
RBAC = "rbac.authorization.k8s.io"
VENUS = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["venus"]}]}

BASES: dict[str, Manifest] = {
    "ConfigMap": {"apiVersion": "v1", "data": {"a": "1"}},
    "Deployment": {
        "apiVersion": "apps/v1",
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": POD},
        },
    },
    "InferenceService": {
        "apiVersion": "serving.kserve.io/v1beta1",
        "spec": {"predictor": {"model": {"modelFormat": {"name": "custom"}, "runtime": "vllm"}, "minReplicas": 1}},
    },
    "Job": {
        "apiVersion": "batch/v1",
        "spec": {"backoffLimit": 0, "template": {"spec": POD | {"restartPolicy": "Never"}}},
    },
    "LocalModelCache": {
        "apiVersion": KSERVE,
        "spec": {"sourceModelUri": "hf://one/model", "modelSize": "1Gi", "nodeGroups": ["group"]},
    },
    "LocalModelNodeGroup": {
        "apiVersion": KSERVE,
        "spec": {
            "storageLimit": "1Gi",
            "persistentVolumeClaimSpec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "local",
            },
            "persistentVolumeSpec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "local",
                "local": {"path": "/models"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [VENUS]}},
            },
        },
    },
    "Namespace": {"apiVersion": "v1"},
    "NetworkPolicy": {
        "apiVersion": "networking.k8s.io/v1",
        "spec": {
            "podSelector": {"matchLabels": LABELS},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"protocol": "TCP", "port": 8080}]}],
        },
    },
    "PersistentVolume": {
        "apiVersion": "v1",
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "unclaimed",
            "local": {"path": "/models"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [VENUS]}},
        },
    },
    "PersistentVolumeClaim": {
        "apiVersion": "v1",
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "unbound",
        },
    },
    "PodDisruptionBudget": {
        "apiVersion": "policy/v1",
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": LABELS}},
    },
    "Role": {"apiVersion": f"{RBAC}/v1", "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]},
    "RoleBinding": {
        "apiVersion": f"{RBAC}/v1",
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "manager"},
        "subjects": [{"kind": "ServiceAccount", "name": "manager", "namespace": HERE}],
    },
    "Secret": {"apiVersion": "v1", "stringData": {"token": "one"}},
    "Service": {
        "apiVersion": "v1",
        "spec": {"selector": LABELS, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    },
    "ServiceAccount": {"apiVersion": "v1", "automountServiceAccountToken": False},
    "ServingRuntime": {
        "apiVersion": KSERVE,
        "spec": {
            "supportedModelFormats": [{"name": "custom"}],
            "containers": [{"name": "kserve-container", "image": "vllm:1"}],
        },
    },
    "StorageClass": {
        "apiVersion": "storage.k8s.io/v1",
        "provisioner": "kubernetes.io/no-provisioner",
        "reclaimPolicy": "Retain",
        "volumeBindingMode": "WaitForFirstConsumer",
    },
}
"""The fields of each kind without its name."""

Fields = dict[str, Any]
"""Values by dotted path; None removes the field."""


def manifest(kind: str, name: str, fields: Fields) -> Manifest:
    """Return the manifest of the kind with other values of these fields."""
    metadata: Manifest = {
        "name": name,
        "annotations": {**(UNAWAITED if kind != "Job" else {})},
        "labels": {"test": HERE},
    }
    if kind in CLUSTER_SCOPED:
        metadata["name"] = f"{HERE}-{name}"
    else:
        metadata["namespace"] = HERE
    whole = {"kind": kind, "metadata": metadata, **copy.deepcopy(BASES[kind])}
    for path, value in fields.items():
        *above, last = path.split(".")
        place = whole
        for key in above:
            place = place.setdefault(key, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return whole
