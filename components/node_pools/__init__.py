"""Node pools: one class a cloud, one contract for all of them."""

from collections.abc import Mapping
from importlib import import_module

import pulumi

from ..settings import Settings, SettingsError
from .base import Placement, Pool, tolerations

MODULES: Mapping[str, str] = {
    "embedded": "on_prem",
    "on-prem": "on_prem",
    "eks": "aws",
    "gke": "gcp",
    "aks": "azure",
}
"""By the words of `larder:cluster.kind`; the only place that picks a class."""


def pool_class(kind: str) -> type[Pool]:
    """The class of the pools of such a cluster. Raises SettingsError where its cloud's package is not installed.

    Imported when it is wanted: a stack pays neither for the time nor for the packages of the other clouds.
    """
    try:
        chosen: type[Pool] = import_module(f".{MODULES[kind]}", __name__).POOL
    except ModuleNotFoundError as error:
        msg = f"larder:cluster.kind: {kind} needs the Python package {error.name}. Run make clouds."
        raise SettingsError([msg]) from error
    return chosen


def declare(settings: Settings, opts: pulumi.ResourceOptions) -> dict[str, Placement]:
    """Register the pools of the settings; where pods of each run, by its name."""
    chosen = pool_class(settings.cluster.kind)
    return {name: chosen(name, pool, settings.cluster, opts).placement for name, pool in settings.node_pools.items()}


__all__ = ["MODULES", "Placement", "Pool", "declare", "pool_class", "tolerations"]
