"""What each strategy needs from the cluster, and who says so when it is missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..settings import Settings
from ..settings.quantities import readable
from ..settings.room import pod_copy
from ..settings.weights_plan import weights_plan

_START = "the pod's termination message"


@dataclass(frozen=True)
class Need:
    """One thing that has to be there."""

    what: str
    checked: str
    """Where it is noticed if it is not."""


NEEDS: Mapping[str, tuple[Need, ...]] = {
    "none": (
        Need("every pod reaches {sources}", _START),
        Need(
            "{copy} free on the node's disk for each pod",
            "the scheduler, which knows the request; the kubelet, which evicts a pod beyond it",
        ),
    ),
    "prebuilt-image": (
        Need("nodes that may pull from the image's registry", "Job preflight-…, before any pod is moved"),
        Need("an image that holds these models", "Job preflight-…, before any pod is moved"),
        Need(
            "for build: a BuildKit that reaches {sources} and the registry, and who may push there",
            "up: the build fails with its reason, before any pod is moved",
        ),
    ),
    "image-volume": (
        Need("Kubernetes 1.35; 1.33 and 1.34 with feature gate ImageVolume", "preview, where the version is stated"),
        Need("containerd 2.1 or CRI-O 1.31 on the nodes", "Job preflight-…, before any pod is moved"),
        Need("nodes that may pull from the images' registry", "Job preflight-…, before any pod is moved"),
    ),
    "shared-storage": (
        Need("a class or claim of that name", "preview, which reads it"),
        Need(
            "a volume that many nodes mount at once (ReadWriteMany)", "Job populate-shared-…, before any pod is moved"
        ),
        Need("uid 1000 may write to it", "Job populate-shared-…: its termination message"),
        Need("the Job reaches {sources}", "Job populate-shared-…: its termination message"),
        Need("NFS: the mount helper on every node (nfs-common, nfs-utils)", "events of the Job's pod: FailedMount"),
    ),
    "node-local": (
        Need("the folder on each node, or prepare-path: true", "events of Job populate-…'s pod: FailedMount"),
        Need(
            "nodes whose names are those of the stack file",
            "preview, which reads the nodes of pools with labels or taints; else events of the Job's pod: Pending",
        ),
        Need("the Job reaches {sources}", "Job populate-…: its termination message"),
    ),
    "kserve-cache": (
        Need("KServe 0.20, LocalModelCache among its definitions", "preview, which reads the definition"),
        Need(
            "localModel.enabled: true in ConfigMap inferenceservice-config, KServe's localmodel controller and agent",
            "up: LocalModelCache stays without copies until its deadline",
        ),
        Need("nodes with label kserve/localmodel: worker", "preview: labels of the pool"),
        Need(
            "KServe's agent reaches {sources}, or the sources named", "status of the LocalModelCache: NodeDownloadError"
        ),
    ),
}
"""By the strategy's word; {sources} and {copy} stand for what the settings come to."""


def needs(settings: Settings) -> list[Need]:
    """Those of the strategy in force."""
    plan = weights_plan(settings.entries, settings.hub.endpoint)
    origins = sorted({_origin(file.url) for model in plan.models for file in model.files})
    words = {"{sources}": " and ".join(origins), "{copy}": readable(pod_copy(plan.total_bytes()))}
    return [Need(_filled(need.what, words), need.checked) for need in NEEDS[settings.cache.strategy]]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _filled(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text
