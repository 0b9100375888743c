"""Node pools: one class for each kind of cluster, one contract for all of them."""

from importlib.util import find_spec
from pkgutil import resolve_name
from typing import Any

import pulumi

from ..settings import Problem, Settings, SettingsError
from ..settings.clusters import KINDS, ClusterSettings
from .base import Placement, Pool, tolerations


def pool_class(kind: str) -> type[Pool[Any]]:
    """Return the component of the pools of such clusters. Raise SettingsError if the cloud's package is missing.

    It is imported on demand, so that a stack needs no packages of other clouds.
    """
    try:
        chosen: type[Pool[Any]] = resolve_name(KINDS[kind].FACTS.pools)
    except ModuleNotFoundError as error:
        msg = f"{kind} needs the Python package {error.name}. Fix: run make clouds."
        raise SettingsError([Problem("larder:cluster.kind", msg)]) from error
    return chosen


def connect(cluster: ClusterSettings) -> list[pulumi.ProviderResource]:
    """Return the provider of the cluster's cloud; none if the one of Kubernetes is enough."""
    return pool_class(cluster.kind).connect(cluster)


def declare(settings: Settings, opts: pulumi.ResourceOptions) -> dict[str, Placement]:
    """Register the pools of the settings; return where the pods of each run, by its name."""
    chosen = pool_class(settings.cluster.kind)
    return {name: chosen(name, pool, settings.cluster, opts).placement for name, pool in settings.node_pools.items()}


def _refuse_missing_modules() -> None:
    for kind, cluster in KINDS.items():
        module, _, name = cluster.FACTS.pools.partition(":")
        if not name or find_spec(module) is None:
            msg = (
                f"kind {kind}: FACTS.pools is {cluster.FACTS.pools!r}, but must be module:class of a module that exists"
            )
            raise ImportError(msg)


_refuse_missing_modules()

__all__ = ["Placement", "Pool", "connect", "declare", "pool_class", "tolerations"]
