"""Checks of larder:node-pools against the kind of the cluster."""

from collections.abc import Iterator

from larder_sidecar.config.base import kebab

from ..clusters import ClusterSettings
from ..names import one_of
from ..node_pools import OF_A_CLOUD, NodePoolSettings, offers
from ..problem import Problem, each
from ..stack_file import StackFile

KEY = "larder:node-pools"


def check(file: StackFile) -> Iterator[Problem]:
    """Yield settings of pools that do not fit the cluster."""
    cluster = file.settings.cluster
    found = [
        problem
        for name, pool in file.settings.node_pools.items()
        for problem in each(
            _machines(f"{KEY}.{name}", cluster, pool),
            _of_a_cloud(f"{KEY}.{name}", cluster, pool),
            _accelerator(f"{KEY}.{name}", cluster, pool),
        )
    ]
    yield from found or _pool_names(file)


def _machines(key: str, cluster: ClusterSettings, pool: NodePoolSettings) -> Iterator[Problem]:
    """Yield a missing machine type or missing names of nodes, and those that the kind of the cluster does not take."""
    if problem := _instance(cluster, pool.instance):
        yield Problem(f"{key}.instance", problem)
    if cluster.makes_machines and pool.hosts is not None:
        yield Problem(
            f"{key}.hosts",
            f"the cloud names and replaces nodes of kind {cluster.kind}. Fix: write a machine type in instance.",
        )
    elif not cluster.makes_machines and pool.hosts is None and not problem:
        yield Problem(
            f"{key}.hosts",
            f"kind {cluster.kind} requires names of nodes. Fix: add them, as in label kubernetes.io/hostname.",
        )


def _instance(cluster: ClusterSettings, instance: str | None) -> str | None:
    """Return the problem of a machine type, or None."""
    if (machines := cluster.FACTS.machines) is None:
        if instance is None:
            return None
        return f"Larder makes no machines on a cluster of kind {cluster.kind}. Fix: name its nodes in hosts."
    if instance is None:
        return f"kind {cluster.kind} requires a machine type. Fix: add one, as in {machines.example}."
    if instance == "auto":
        return f"'auto' is not supported yet. Fix: write a machine type, as in {machines.example}."
    if not machines.types.fullmatch(instance):
        return f"{instance[:80]!r} is not a machine type of {cluster.kind}. Fix: write one, as in {machines.example}."
    return None


def _of_a_cloud(key: str, cluster: ClusterSettings, pool: NodePoolSettings) -> Iterator[Problem]:
    for name in OF_A_CLOUD if not cluster.makes_machines else ():
        if name in pool.model_fields_set:
            what = "there are no spot machines" if name == "spot" else "Larder makes no machines"
            yield Problem(f"{key}.{kebab(name)}", f"{what} on a cluster of kind {cluster.kind}. Fix: remove the key.")


def _accelerator(key: str, cluster: ClusterSettings, pool: NodePoolSettings) -> Iterator[Problem]:
    """Yield a problem if no machine of the cloud, or not the machine of the pool, has the accelerator."""
    machines, accelerator = cluster.FACTS.machines, pool.accelerator
    if not accelerator or machines is None:
        return
    if (offer := machines.accelerators.get(accelerator)) is None:
        where = offers(accelerator)
        yield Problem(
            f"{key}.accelerator",
            f"no machine of {cluster.kind} has {accelerator}. Fix: remove the key, or use {where}.",
        )
    elif pool.instance and not _instance(cluster, pool.instance) and offer.mark not in pool.instance:
        yield Problem(
            f"{key}.accelerator",
            f"{pool.instance} has no {accelerator}. Fix: write {offer.example} in instance, or remove the key.",
        )


def _pool_names(file: StackFile) -> Iterator[Problem]:
    machines = file.settings.cluster.FACTS.machines
    names = machines.pool_names if machines else None
    if names and (wrong := [name for name in file.settings.node_pools if not names.pattern.fullmatch(name)]):
        yield Problem(KEY, f"{names.rule}, unlike {one_of(map(repr, wrong))}. Fix: choose another name.")
