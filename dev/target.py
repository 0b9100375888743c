"""The cluster that a stack goes to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CLUSTER_ID = ("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
"""Arguments of kubectl for the nearest thing that a cluster has to an identity."""


@dataclass(frozen=True)
class Target:
    """A cluster: the overlay for its stack, and the way in which this host reaches it."""

    overlay: Mapping[str, object]
    kubeconfig: Path | None
    address: str
    """Address of a node."""
    cluster_id: str
    """Identity that differs from every other cluster with this name."""
    programs: tuple[Path, ...] = ()
    """Folders of programs that a shell needs on PATH, kubectl among them."""
