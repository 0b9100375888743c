"""Strategy `none`: every pod fetches its own copy."""

from larder_sidecar.config.layout import STORE
from larder_sidecar.config.weights import WeightsPlan

from ..manifest import Volume
from ..settings.no_cache import NoCacheSettings
from ..settings.quantities import in_mebibytes
from ..settings.room import pod_copy
from .base import Demand, KeepsNothing, Weights
from .fetch import fetch_container

NAME = NoCacheSettings.NAME


class NoCache(KeepsNothing[NoCacheSettings]):
    """Weights that each pod fetches at its start, and that are deleted with it."""

    TYPE = "larder:caching:NoCache"
    SETTINGS = NoCacheSettings

    def deliver(self, block: NoCacheSettings, prepared: None, demand: Demand) -> Weights:  # noqa: ARG002
        """Declare an emptyDir with room for the plan, and an init container that fills it."""
        volume = f"weights-{NAME}"
        return Weights(
            strategy=NAME,
            volumes=(empty_dir(volume, demand.plan), demand.config.volume()),
            mounts=({"name": volume, "mount_path": STORE, "read_only": True},),
            init_containers=(fetch_container(demand, {"name": volume, "mount_path": STORE}, on_node=True),),
            sources=demand.sources,
            wait_seconds=demand.budget_seconds,
            ready=(demand.config.config_map,),
        )


def empty_dir(name: str, plan: WeightsPlan) -> Volume:
    """Return an emptyDir with room for the weights of the plan."""
    return {"name": name, "empty_dir": {"size_limit": in_mebibytes(pod_copy(plan.total_bytes()))}}
