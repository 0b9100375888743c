"""The Job that fills a volume once, before pods mount it."""

from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.networking import v1 as networking

from ..component import Component
from ..jobs import run_once
from ..manifest import metadata, scratch, selector
from ..network import sources_egress
from .base import Demand, Store
from .fetch import fetch_container, retry_options


def populate(owner: Component, demand: Demand, store: Store, *, after: Sequence[pulumi.Resource]) -> batch.Job:
    """Declare the Job that fetches the plan into `store`. Jobs of two strategies run at the same time in a swap."""
    name = store.job("populate")
    policy = networking.NetworkPolicy(
        f"{name}-policy",
        metadata=metadata(
            f"larder-{name}",
            "the populate Job reaches the sources of the weights and nothing else",
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
        f"fills {store.place} with the weights, once",
        role="populate",
        container=fetch_container(
            demand, store.mount, way=(*retry_options(demand), *(("--model-folders",) if demand.folders else ()))
        ),
        volumes=[store.volume, demand.config.volume(), scratch()],
        host=store.host,
        taints=store.taints,
        deadline_seconds=demand.budget_seconds,
        namespace=demand.namespace,
        content=demand.config.text,
        opts=owner.child(pulumi.ResourceOptions(depends_on=[*after, demand.config.config_map, policy])),
    )
