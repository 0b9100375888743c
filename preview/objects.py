"""Kinds of recorded resources, and the order in which they are made."""

from .recorder import Registered

PHASES = {
    "Namespace": 0,
    "StorageClass": 10,
    "PersistentVolume": 20,
    "PersistentVolumeClaim": 30,
    "ServiceAccount": 35,
    "Role": 36,
    "RoleBinding": 37,
    "ConfigMap": 40,
    "NetworkPolicy": 50,
    "PodDisruptionBudget": 55,
    "Service": 60,
    "ServingRuntime": 65,
    "Job": 70,
    "Deployment": 80,
    "InferenceService": 85,
}
"""The order of applying. The numbers do not depend on other resources, so a diff shows real changes only."""
OTHERS = 90


def phase(resource: Registered) -> int:
    """Return the number of a resource in the order of applying."""
    return PHASES.get(kind(resource), OTHERS)


def kind(resource: Registered) -> str:
    """Return `Deployment` for kubernetes:apps/v1:Deployment."""
    return resource.type.rpartition(":")[2]


def is_manifest(resource: Registered) -> bool:
    """Tell whether it is an object of the cluster, not a component, a provider, a patch or an object of a cloud."""
    return resource.custom and resource.type.startswith("kubernetes:") and not kind(resource).endswith("Patch")
