"""EKS, the clusters of Amazon Web Services."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import CloudSettings, Word
from .facts import ONE_NODE, Facts, Machines, Provider


class EksSettings(CloudSettings):
    """An EKS cluster of Amazon Web Services."""

    FACTS: ClassVar[Facts] = Facts(
        pools="components.node_pools.eks:EksPool",
        machines=Machines(
            types=re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+"),
            example="m6i.xlarge",
            provider=Provider(package="aws", place="region", extra="aws"),
            resource="NodeGroup",
            pool="an EKS managed node group",
        ),
        storage_classes={  # Names: "Storage classes" in the documentation of EKS, 2026-11.
            "gp2": f"{ONE_NODE}. Fix: name a class of the EFS CSI driver; of disks for one node gp3 is the better.",
            "gp3": f"{ONE_NODE}. Fix: name a class of the EFS CSI driver.",
        },
    )

    kind: Literal["eks"]
    """An EKS cluster of Amazon Web Services."""
    region: Word
    """The AWS region of the cluster, as in eu-central-1."""
    subnets: Annotated[list[Word], Field(min_length=1)]
    """Ids of the subnets that get the machines, as in subnet-0a1b2c3d4e5f."""
    node_role: Annotated[str, Field(pattern=r"^arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,500}$")]
    """ARN of the IAM role of the machines, as in arn:aws:iam::123456789012:role/nodes."""
