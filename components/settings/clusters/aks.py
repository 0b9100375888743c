"""AKS, the clusters of Microsoft Azure."""

import re
from typing import ClassVar, Literal

from .base import CloudSettings, Word
from .facts import ONE_NODE, Accelerated, Facts, Machines, PoolNames, Provider

_AZURE_FILES = "Fix: name a class of Azure Files, as in azurefile-csi-premium."


class AksSettings(CloudSettings):
    """An AKS cluster of Microsoft Azure."""

    FACTS: ClassVar[Facts] = Facts(
        pools="components.node_pools.aks:AksPool",
        machines=Machines(
            types=re.compile(r"Standard_[A-Z][A-Za-z0-9_-]+"),
            example="Standard_D4s_v5",
            provider=Provider(package="azure-native", place="subscriptionId", extra="azure"),
            resource="AgentPool",
            pool="an AKS agent pool",
            accelerators={"amd.com/gpu": Accelerated(mark="MI300X", example="Standard_ND96isr_MI300X_v5")},
            # AKS accepts 12 letters and digits; the component appends four that change with the machines.
            pool_names=PoolNames(
                pattern=re.compile(r"[a-z][a-z0-9]{0,7}"),
                rule="AKS accepts pool names of up to 8 lower-case letters and digits that begin with a letter",
            ),
        ),
        storage_classes={  # Names: "Storage classes" in the documentation of AKS, 2026-11.
            "default": f"{ONE_NODE}. {_AZURE_FILES}",
            "managed-csi": f"{ONE_NODE}. {_AZURE_FILES}",
            "managed-csi-premium": f"{ONE_NODE}. {_AZURE_FILES}",
            "azurefile": "is Azure Files on spinning disks. azurefile-csi-premium has SSDs.",
            "azurefile-csi": "is Azure Files on spinning disks. azurefile-csi-premium has SSDs.",
        },
    )

    kind: Literal["aks"]
    """An AKS cluster of Microsoft Azure."""
    subscription: Word
    """Id of the Azure subscription of the cluster."""
    resource_group: Word
    """The Azure resource group of the cluster."""
