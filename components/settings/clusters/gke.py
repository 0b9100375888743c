"""GKE, the clusters of Google Cloud."""

import re
from typing import ClassVar, Literal

from .base import CloudSettings, Word
from .facts import ONE_NODE, Facts, Machines, Provider


class GkeSettings(CloudSettings):
    """A GKE cluster of Google Cloud."""

    FACTS: ClassVar[Facts] = Facts(
        pools="components.node_pools.gke:GkePool",
        machines=Machines(
            types=re.compile(r"[a-z][a-z0-9]*-[a-z0-9-]+"),
            example="n2-standard-4",
            provider=Provider(package="gcp", place="project", extra="gcp"),
            resource="NodePool",
            pool="a GKE node pool",
        ),
        storage_classes={  # Names: "Storage classes" in the documentation of GKE, 2026-11.
            "standard": f"{ONE_NODE}, and spins. Fix: name a class of Filestore, as in standard-rwx.",
            "standard-rwo": f"{ONE_NODE}. Fix: name a class of Filestore, as in standard-rwx or premium-rwx.",
            "premium-rwo": f"{ONE_NODE}. Fix: name a class of Filestore, as in premium-rwx.",
            "standard-rwx": "is Filestore on spinning disks, at least 1 TiB. premium-rwx has SSDs.",
        },
    )

    kind: Literal["gke"]
    """A GKE cluster of Google Cloud."""
    project: Word
    """The Google Cloud project of the cluster."""
    location: Word
    """The region or zone of the cluster, as in europe-west4."""
