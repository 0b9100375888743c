"""Choice among replicas of an engine: one that has the model loaded, else the same one on every front."""

from collections.abc import Collection
from hashlib import blake2b
from typing import Protocol, TypeVar


class Replica(Protocol):
    """A replica, as the choice sees it."""

    @property
    def address(self) -> str:
        """Return its unique address."""

    @property
    def loaded(self) -> frozenset[str]:
        """Return the ids of its loaded models."""

    @property
    def full(self) -> bool:
        """Tell if another model would evict one of those."""

    @property
    def busy(self) -> int:
        """Return the number of our requests that it is answering."""

    @property
    def failing(self) -> bool:
        """Tell if it has just refused a connection or a request."""


AnyReplica = TypeVar("AnyReplica", bound=Replica)


def chosen(model: str, replicas: Collection[AnyReplica]) -> AnyReplica | None:
    """Return the replica for a request of this model, None if there is none.

    It is the least busy one that has the model loaded. If none has, it is one with room for the model, and among those
    the one of rendezvous hashing by model name and address. That one is the same for every front, and when a
    replica comes or goes, only the models that it gets or had move.
    """
    answering = [replica for replica in replicas if not replica.failing] or [*replicas]
    holding = [replica for replica in answering if model in replica.loaded]
    if holding:
        return min(holding, key=lambda replica: (replica.busy, -weight(model, replica.address)))
    roomy = [replica for replica in answering if not replica.full] or answering
    return max(roomy, key=lambda replica: weight(model, replica.address), default=None)


def weight(model: str, address: str) -> int:
    """Return the rendezvous hash of a model and an address: evenly distributed, and the same everywhere."""
    return int.from_bytes(blake2b(f"{model}\0{address}".encode(), digest_size=8).digest())
