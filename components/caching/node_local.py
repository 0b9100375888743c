"""Strategy `node-local`: one node's disk holds the weights, one Job fills it, every pod after finds them there."""

import pulumi
import pulumi_kubernetes as k8s

from ..jobs import run_once
from ..manifest import VolumeMount, metadata, scratch, selector
from ..network import hub_egress
from ..storage import LocalVolume
from .base import STORE, CachingStrategy, Demand, Weights
from .fetch import fetch_container

NAME = "node-local"
SUB_PATH = "ollama"
"""The part of the volume that is Ollama's store; other engines keep theirs beside it."""


class NodeLocal(CachingStrategy):
    """Weights on a disk of the node that runs the engine: filled once, mounted read-only by every pod after."""

    TYPE = "larder:caching:NodeLocal"

    def deliver(self, demand: Demand) -> Weights:
        """The populate Job on the volume's node; engines wait for what it leaves and never write."""
        volume = demand.volumes.node_local
        if volume is None:
            # Settings have refused this already; whoever builds a Demand by hand is told the same.
            msg = "larder:cache.node-local: is missing, and strategy 'node-local' needs it."
            raise ValueError(msg)
        job = self._populate(demand, volume)
        return Weights(
            strategy=NAME,
            volumes=(
                {"name": f"weights-{NAME}", "persistent_volume_claim": {"claim_name": volume.claim_name}},
                demand.config.volume(),
            ),
            mounts=(_mount(read_only=True),),
            # Waits for the Job where nothing else orders them: rendered manifests, or a disk that was lost.
            init_containers=(fetch_container(demand, _mount(read_only=True), wait_seconds=demand.budget_seconds),),
            hosts=(volume.node,),
            # ReadWriteOnce is once a node: two pods of the node may mount the claim together.
            overlap=True,
            wait_seconds=demand.budget_seconds,
            ready=(demand.config.config_map, job),
        )

    def _populate(self, demand: Demand, volume: LocalVolume) -> k8s.batch.v1.Job:
        policy = k8s.networking.v1.NetworkPolicy(
            "populate-policy",
            metadata=metadata(
                "larder-populate",
                "the populate Job may reach the hub and nothing else",
                of="populate",
                namespace=demand.namespace,
            ),
            spec={
                "pod_selector": {"match_labels": selector("populate")},
                "policy_types": ["Ingress", "Egress"],
                "ingress": [],
                "egress": hub_egress(demand.endpoint),
            },
            opts=self.child(),
        )
        return run_once(
            "populate",
            f"fills the volume of node {volume.node} with the weights, once",
            container=fetch_container(demand, _mount(read_only=False)),
            volumes=[
                {"name": f"weights-{NAME}", "persistent_volume_claim": {"claim_name": volume.claim_name}},
                demand.config.volume(),
                scratch(),
            ],
            host=volume.node,
            taints=volume.taints,
            deadline_seconds=demand.budget_seconds,
            namespace=demand.namespace,
            content=demand.config.text,
            opts=self.child(pulumi.ResourceOptions(depends_on=[*volume.ready, demand.config.config_map, policy])),
        )


def _mount(*, read_only: bool) -> VolumeMount:
    return {"name": f"weights-{NAME}", "mount_path": STORE, "sub_path": SUB_PATH, "read_only": read_only}
