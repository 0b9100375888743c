"""Storage classes by their names: what is known of those that clouds bring along, and which are better for weights."""

from collections.abc import Iterator, Mapping

from ..settings import Settings

_NOT_MANY = "gives disks that one node mounts at a time (ReadWriteOnce): the claim would stay Pending"
CLASSES: Mapping[str, Mapping[str, str]] = {
    # Names: storage-classes documentation of EKS, GKE and AKS, 2026-11.
    "eks": {
        "gp2": f"{_NOT_MANY}. Name a class of the EFS CSI driver; of disks for one node gp3 is the better.",
        "gp3": f"{_NOT_MANY}. Name a class of the EFS CSI driver.",
    },
    "gke": {
        "standard": f"{_NOT_MANY}, and spins. Name a class of Filestore, as in standard-rwx.",
        "standard-rwo": f"{_NOT_MANY}. Name a class of Filestore, as in standard-rwx or premium-rwx.",
        "premium-rwo": f"{_NOT_MANY}. Name a class of Filestore, as in premium-rwx.",
        "standard-rwx": "is Filestore on spinning disks, 1 TiB at least. premium-rwx has SSDs.",
    },
    "aks": {
        "default": f"{_NOT_MANY}. Name a class of Azure Files, as in azurefile-csi-premium.",
        "managed-csi": f"{_NOT_MANY}. Name a class of Azure Files, as in azurefile-csi-premium.",
        "managed-csi-premium": f"{_NOT_MANY}. Name a class of Azure Files, as in azurefile-csi-premium.",
        "azurefile": "is Azure Files on spinning disks. azurefile-csi-premium has SSDs.",
        "azurefile-csi": "is Azure Files on spinning disks. azurefile-csi-premium has SSDs.",
    },
    "on-prem": {
        "local-path": f"{_NOT_MANY}. Name a class of NFS or CephFS, or choose strategy node-local.",
        "longhorn": "shares a volume through one pod of NFS: reads are as fast as the network to that pod.",
    },
}
"""By the kind of the cluster; embedded clusters have no class of their own."""


def about_classes(settings: Settings) -> Iterator[str]:
    """A line where the class of the shared volume is known to be the wrong one, or not the best."""
    shared = settings.cache.shared_storage
    if shared is None or shared.storage_class is None:
        return
    if advice := CLASSES.get(settings.cluster.kind, {}).get(shared.storage_class):
        yield f"larder:cache.shared-storage.storage-class: {shared.storage_class} {advice}"
