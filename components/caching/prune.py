"""The Job that removes weights of pruned plans from a volume, after every engine has stopped reading them."""

from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.networking import v1 as networking

from ..component import Component
from ..jobs import run_once
from ..manifest import VolumeMount, metadata, scratch, selector
from ..settings import prune as settings
from .base import Demand, Store
from .fetch import fetch_container, retry_options


class Prune(Component):
    """Removes weights that only pruned plans contain from the volumes in use, after every engine has rolled."""

    TYPE = "larder:caching:Prune"

    def __init__(
        self,
        name: str,
        block: settings.Prune,
        demand: Demand,
        stores: Sequence[Store],
        *,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the Jobs. `after` are the resources that read weights of an earlier plan or fill stores.

        A pod that still drains keeps the files that it has open or in memory; it can no longer load others.
        """
        super().__init__(name, opts)
        self.jobs = [self._job(block, demand, store, after) for store in stores]
        self.register_outputs({"forget": block.forget})

    def _job(self, block: settings.Prune, demand: Demand, store: Store, after: Sequence[pulumi.Resource]) -> batch.Job:
        name, forgotten = store.job("prune"), ", ".join(block.forget)
        policy = networking.NetworkPolicy(
            f"{name}-policy",
            metadata=metadata(
                f"larder-{name}", "the prune Job has no network access", of=name, namespace=demand.namespace
            ),
            spec={
                "pod_selector": {"match_labels": selector(name)},
                "policy_types": ["Ingress", "Egress"],
                "ingress": [],
                "egress": [],
            },
            opts=self.child(),
        )
        # The API server drops false (see node_local.py).
        mount: VolumeMount = {**store.mount, "read_only": True} if block.dry_run else store.mount
        words = [option for word in block.forget for option in ("--forget", word)]
        way = (*retry_options(demand), "--prune", *words, "--if-there", *(("--dry-run",) if block.dry_run else ()))
        does = "lists, without removing them," if block.dry_run else "removes"
        return run_once(
            name,
            f"{does} the weights on {store.place} that only forgotten plans need: {forgotten}",
            role="prune",
            container=fetch_container(demand, mount, way=way),
            volumes=[store.volume, demand.config.volume(), scratch()],
            host=store.host,
            taints=store.taints,
            deadline_seconds=demand.budget_seconds,
            namespace=demand.namespace,
            content=demand.config.text,
            opts=self.child(pulumi.ResourceOptions(depends_on=[*after, demand.config.config_map, policy])),
        )
