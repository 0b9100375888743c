"""The Job that takes out of a volume what nobody wants any more, when nobody reads it any more."""

from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.networking import v1 as networking

from ..component import Component
from ..jobs import run_once
from ..manifest import VolumeMount, metadata, scratch, selector
from ..settings import prune as settings
from .base import Demand, Store
from .fetch import fetch_container, patient


class Prune(Component):
    """Weights that only forgotten plans wanted leave the volumes in force, after every engine has moved."""

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
        """`after` is all that still reads what an earlier plan wanted, and what fills the stores.

        A pod that only drains by then keeps what it has open or in memory; what it has not loaded is gone for it.
        """
        super().__init__(name, opts)
        self.jobs = [self._job(block, demand, store, after) for store in stores]
        self.register_outputs({"forget": block.forget})

    def _job(self, block: settings.Prune, demand: Demand, store: Store, after: Sequence[pulumi.Resource]) -> batch.Job:
        name, forgotten = store.job("prune"), ", ".join(block.forget)
        policy = networking.NetworkPolicy(
            f"{name}-policy",
            metadata=metadata(f"larder-{name}", "the prune Job reaches nobody", of=name, namespace=demand.namespace),
            spec={
                "pod_selector": {"match_labels": selector(name)},
                "policy_types": ["Ingress", "Egress"],
                "ingress": [],
                "egress": [],
            },
            opts=self.child(),
        )
        # The API server keeps no false (see node_local.py).
        mount: VolumeMount = {**store.mount, "read_only": True} if block.dry_run else store.mount
        words = [option for word in block.forget for option in ("--forget", word)]
        way = (*patient(demand), "--prune", *words, "--if-there", *(("--dry-run",) if block.dry_run else ()))
        does = f"finds on {store.place}, and leaves there," if block.dry_run else f"takes out of {store.place}"
        return run_once(
            name,
            f"{does} what only forgotten plans wanted: {forgotten}",
            container=fetch_container(demand, mount, way=way),
            volumes=[store.volume, demand.config.volume(), scratch()],
            host=store.host,
            taints=store.taints,
            deadline_seconds=demand.budget_seconds,
            namespace=demand.namespace,
            content=demand.config.text,
            opts=self.child(pulumi.ResourceOptions(depends_on=[*after, demand.config.config_map, policy])),
        )
