"""Strategy `node-local`: the nodes' own disks hold the weights; one Job fills each disk, and later pods read it."""

import pulumi
from larder_sidecar.config.layout import STORE
from larder_sidecar.config.manager import ID
from larder_sidecar.config.weights import MODEL_FOLDERS

from ..manifest import Volume, VolumeMount
from ..settings import Settings
from ..settings.node_local import NodeLocalSettings
from ..storage import NodeDisks
from .base import CachingStrategy, Demand, Store, Weights
from .fetch import fetch_container, wait_options
from .populate import populate

NAME = NodeLocalSettings.NAME
SUB_PATH = "ollama"
"""Folder of the volume that is Ollama's store; other engines keep their files next to it."""


class NodeLocal(CachingStrategy[NodeLocalSettings, NodeDisks]):
    """Weights on a disk of each node that runs the engine: filled once, mounted read-only by every pod after."""

    TYPE = "larder:caching:NodeLocal"
    SETTINGS = NodeLocalSettings

    @classmethod
    def prepare(
        cls, settings: Settings, block: NodeLocalSettings, demand: Demand, opts: pulumi.ResourceOptions
    ) -> NodeDisks:
        """Declare the volumes of the nodes."""
        return NodeDisks.declare(settings, block, namespace=demand.namespace, opts=opts)

    def deliver(self, block: NodeLocalSettings, prepared: NodeDisks, demand: Demand) -> Weights:  # noqa: ARG002
        """Declare a populate Job on each volume's node; engines wait for its result and never write."""
        stores = tuple(
            Store(
                word="" if len(prepared.volumes) == 1 else disk.node,
                place=f"the volume of node {disk.node}",
                volume=_claim(disk.claim_name),
                mount=_mount(read_only=False),
                host=disk.node,
                taints=disk.taints,
            )
            for disk in prepared.volumes
        )
        jobs = [
            populate(self, demand, store, after=disk.ready)
            for store, disk in zip(stores, prepared.volumes, strict=True)
        ]
        return Weights(
            strategy=NAME,
            volumes=(_claim(prepared.claim_name), demand.config.volume()),
            mounts=(_mount(read_only=True),),
            # It waits for the Job if nothing else does: rendered manifests, or a lost disk.
            init_containers=(fetch_container(demand, _mount(read_only=True), way=wait_options(demand)),),
            uri=f"pvc://{prepared.claim_name}/{SUB_PATH}/{MODEL_FOLDERS}/{ID}" if demand.folders else None,
            hosts=prepared.hosts,
            # ReadWriteOnce means one node: two pods of the node may mount the claim together.
            overlap=True,
            wait_seconds=demand.budget_seconds,
            ready=(demand.config.config_map, *prepared.ready, *jobs),
            stores=stores,
        )


def _claim(name: str) -> Volume:
    return {"name": f"weights-{NAME}", "persistent_volume_claim": {"claim_name": name}}


def _mount(*, read_only: bool) -> VolumeMount:
    mount: VolumeMount = {"name": f"weights-{NAME}", "mount_path": STORE, "sub_path": SUB_PATH}
    # Omit `readOnly: false`: the API server drops it, so stating it shows as drift on every refresh.
    return {**mount, "read_only": True} if read_only else mount
