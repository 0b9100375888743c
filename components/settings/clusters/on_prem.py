"""Clusters with existing nodes: the one that `make up` starts, and a team's own."""

from typing import ClassVar, Literal

from .base import ClusterSettings
from .facts import ONE_NODE, Facts

_POOLS = "components.node_pools.on_prem:HostPool"


class EmbeddedSettings(ClusterSettings):
    """The cluster that `make up` starts on this machine."""

    FACTS: ClassVar[Facts] = Facts(
        pools=_POOLS,
        machines=None,
        storage_classes={},  # it has none
        context="larder",  # in its own kubeconfig
        kubernetes="1.36",  # the testbed's pin; a test compares the two
        service="NodePort",  # clients are on the same host
        testbed=True,
    )

    kind: Literal["embedded"]
    """The cluster that `make up` starts on this machine."""


class OnPremSettings(ClusterSettings):
    """A cluster with nodes of the team's own."""

    FACTS: ClassVar[Facts] = Facts(
        pools=_POOLS,
        machines=None,
        storage_classes={
            "local-path": f"{ONE_NODE}. Fix: name a class of NFS or CephFS, or choose strategy node-local.",
            "longhorn": "shares a volume through one pod of NFS: reads are as fast as the network to that pod.",
        },
    )

    kind: Literal["on-prem"]
    """A cluster with nodes of the team's own."""
