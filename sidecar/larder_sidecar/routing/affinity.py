"""Which of several equal engines gets a request: the one that has its model loaded, else always the same one."""

from collections.abc import Collection
from hashlib import blake2b
from typing import Protocol, TypeVar


class Replica(Protocol):
    """What is known of one engine."""

    @property
    def address(self) -> str:
        """Where it is: nobody else is there."""

    @property
    def loaded(self) -> frozenset[str]:
        """Ids of the models that it holds."""

    @property
    def full(self) -> bool:
        """Whether another model would push one of those out."""

    @property
    def busy(self) -> int:
        """Requests of ours that it is answering."""

    @property
    def failing(self) -> bool:
        """Whether it has just refused a connection or a request."""


AnyReplica = TypeVar("AnyReplica", bound=Replica)


def chosen(model: str, replicas: Collection[AnyReplica]) -> AnyReplica | None:
    """The replica for a request of this model, None where there is none.

    One that holds the model and has the least to do. Where none does, one that has room for it, and among those the one
    that the model's name and the addresses come to (rendezvous hashing): it is the same for every front, and when a
    replica comes or goes, only the models that it gets or had move.
    """
    answering = [replica for replica in replicas if not replica.failing] or [*replicas]
    holding = [replica for replica in answering if model in replica.loaded]
    if holding:
        return min(holding, key=lambda replica: (replica.busy, -weight(model, replica.address)))
    roomy = [replica for replica in answering if not replica.full] or answering
    return max(roomy, key=lambda replica: weight(model, replica.address), default=None)


def weight(model: str, address: str) -> int:
    """How strongly a model is drawn to an address: evenly spread, and the same everywhere."""
    return int.from_bytes(blake2b(f"{model}\0{address}".encode(), digest_size=8).digest())
