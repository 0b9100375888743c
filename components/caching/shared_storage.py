"""Strategy `shared-storage`: a volume that every node mounts, filled by one Job, read by every pod."""

import pulumi
from larder_sidecar.config.layout import STORE

from ..manifest import Volume, VolumeMount
from ..settings import Settings
from ..settings.shared_storage import SharedStorageSettings
from ..storage import SharedVolume
from .base import CachingStrategy, Demand, Store, Weights
from .fetch import fetch_container, wait_options
from .none import empty_dir
from .populate import populate

NAME = SharedStorageSettings.NAME
SHARE = "/shared"
"""Mount path of the share in a pod with a copy of its own."""
ROOT, STORE_FOLDER = STORE.rsplit("/", 1)
"""The store is a folder of the share that `fetch` creates. The kubelet would create a subPath as root, which an NFS
server maps to nobody, and fsGroup has no effect on NFS: our processes could not write there."""


class SharedStorage(CachingStrategy[SharedStorageSettings, SharedVolume]):
    """Weights on a volume that every node mounts: filled once, then copied by each pod or read in place."""

    TYPE = "larder:caching:SharedStorage"
    SETTINGS = SharedStorageSettings

    @classmethod
    def prepare(
        cls, settings: Settings, block: SharedStorageSettings, demand: Demand, opts: pulumi.ResourceOptions
    ) -> SharedVolume:
        """Declare the shared volume."""
        own = settings.cluster.namespace
        return SharedVolume(
            block.NAME,
            block,
            mounted=settings.cache.block is block,
            stack_namespace=own,
            namespace=demand.namespace,
            opts=opts,
        )

    def deliver(self, block: SharedStorageSettings, prepared: SharedVolume, demand: Demand) -> Weights:
        """Declare the populate Job on any node; engines never write to the share."""
        share: Volume = {"name": f"share-{NAME}", "persistent_volume_claim": {"claim_name": prepared.claim_name}}
        store = Store(word="shared", place="the shared volume", volume=share, mount=_mount(ROOT, read_only=False))
        job = populate(self, demand, store, after=prepared.ready)
        if block.read == "direct":
            mount = _mount(ROOT, read_only=True)
            volumes, fetch = [share], fetch_container(demand, mount, way=wait_options(demand))
        else:
            mount = {"name": f"weights-{NAME}", "mount_path": STORE}
            way = ("--copy-from", f"{SHARE}/{STORE_FOLDER}", *wait_options(demand))
            volumes = [share, empty_dir(f"weights-{NAME}", demand.plan)]
            fetch = fetch_container(demand, mount, _mount(SHARE, read_only=True), way=way, on_node=True)
        return Weights(
            strategy=NAME,
            volumes=(*volumes, demand.config.volume()),
            mounts=({**mount, "read_only": True},),
            init_containers=(fetch,),
            # Pages of a mapped file come one by one over the network, and stall the engine when the server does.
            mmap=block.read != "direct",
            wait_seconds=demand.budget_seconds,
            ready=(demand.config.config_map, job),
            stores=(store,),
        )


def _mount(path: str, *, read_only: bool) -> VolumeMount:
    mount: VolumeMount = {"name": f"share-{NAME}", "mount_path": path}
    return {**mount, "read_only": True} if read_only else mount
