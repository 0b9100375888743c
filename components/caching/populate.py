"""The Job that fills a volume once, for all who mount it after."""

from collections.abc import Iterable, Sequence

import pulumi
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.networking import v1 as networking

from ..component import Component
from ..jobs import run_once
from ..manifest import Volume, VolumeMount, metadata, scratch, selector
from ..network import sources_egress
from ..settings.node_pools import Taint
from .base import Demand
from .fetch import fetch_container


def populate(
    owner: Component,
    demand: Demand,
    *,
    name: str,
    volume: Volume,
    mount: VolumeMount,
    place: str,
    host: str | None = None,
    taints: Iterable[Taint] = (),
    after: Sequence[pulumi.Resource],
) -> batch.Job:
    """Fetch the plan into `mount` of `volume`. `name` differs between strategies: a swap runs one beside the other."""
    policy = networking.NetworkPolicy(
        f"{name}-policy",
        metadata=metadata(
            f"larder-{name}",
            "the populate Job may reach where weights come from and nothing else",
            of=name,
            namespace=demand.namespace,
        ),
        spec={
            "pod_selector": {"match_labels": selector(name)},
            "policy_types": ["Ingress", "Egress"],
            "ingress": [],
            "egress": sources_egress(demand.sources),
        },
        opts=owner.child(),
    )
    return run_once(
        name,
        f"fills {place} with the weights, once",
        container=fetch_container(demand, mount, way=("--model-folders",) if demand.folders else ()),
        volumes=[volume, demand.config.volume(), scratch()],
        host=host,
        taints=taints,
        deadline_seconds=demand.budget_seconds,
        namespace=demand.namespace,
        content=demand.config.text,
        opts=owner.child(pulumi.ResourceOptions(depends_on=[*after, demand.config.config_map, policy])),
    )
