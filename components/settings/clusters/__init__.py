"""Kinds of clusters: each is a class with its settings and facts, and a member of the table KINDS.

To add a cloud, write its class here and the component of its pools in components/node_pools, add the class to KINDS,
and its package to pyproject.toml (the extra, and the two lists of mypy). Tests fail until all four agree.
"""

from collections.abc import Mapping
from typing import Annotated, get_args

from ..by_kind import ByKind
from .aks import AksSettings
from .base import CloudSettings, ClusterSettings
from .eks import EksSettings
from .facts import Facts, Machines, Provider, ServiceType
from .gke import GkeSettings
from .on_prem import EmbeddedSettings, OnPremSettings


def by_kind(*classes: type[ClusterSettings]) -> dict[str, type[ClusterSettings]]:
    """Return the classes by kind. Raises TypeError if one states no facts or no kind."""
    found = {}
    for cluster in classes:
        kinds = get_args(cluster.model_fields["kind"].annotation)
        if len(kinds) != 1 or not hasattr(cluster, "FACTS"):
            msg = f"{cluster.__name__} needs FACTS, and a kind that is a Literal of one word"
            raise TypeError(msg)
        found[kinds[0]] = cluster
    return found


KINDS: dict[str, type[ClusterSettings]] = by_kind(
    EmbeddedSettings, OnPremSettings, EksSettings, GkeSettings, AksSettings
)
"""The class of each kind, in the order of lists of choices."""
AnyCluster = Annotated[ClusterSettings, ByKind("cluster", ClusterSettings, KINDS)]


def is_testbed(block: object) -> bool:
    """Tell if a raw larder:cluster block describes the cluster that `make up` starts."""
    kind = block.get("kind") if isinstance(block, Mapping) else None
    return isinstance(kind, str) and kind in KINDS and KINDS[kind].FACTS.testbed


def clouds() -> dict[str, Machines]:
    """Return the machines of each kind whose machines come from a cloud."""
    return {kind: machines for kind, cluster in KINDS.items() if (machines := cluster.FACTS.machines)}


__all__ = [
    "KINDS",
    "AnyCluster",
    "CloudSettings",
    "ClusterSettings",
    "Facts",
    "Machines",
    "Provider",
    "ServiceType",
    "by_kind",
    "clouds",
    "is_testbed",
]
