"""larder:node-pools: the machines that engines may run on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_serializer,
)

from .base import Block
from .clusters import KINDS, clouds
from .names import all_of, choices, did_you_mean, one_of
from .problem import Problem
from .quantities import Size

POOL_LABEL = "larder.dev/pool"
"""Label that has the pool's name on every node that Larder makes or labels."""

PoolName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")]
Host = Annotated[
    str, Field(max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")
]
"""A node's name. Label kubernetes.io/hostname repeats it, so it has at most 63 characters."""

_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_KEY = rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}"
_TAINT = re.compile(rf"^(?P<key>{_KEY})(=(?P<value>({_NAME})?))?:(?P<effect>NoSchedule|PreferNoSchedule|NoExecute)$")

OF_A_CLOUD = ("min", "max", "spot", "disk")
"""Settings of machines that Larder makes."""


@dataclass(frozen=True)
class Taint:
    """A taint of a node: pods that do not tolerate it stay away."""

    key: str
    value: str
    effect: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Read `key=value:effect` or `key:effect`, as kubectl writes it. Raises ValueError."""
        if not (match := _TAINT.fullmatch(text)):
            msg = (
                f"{text[:80]!r} is not a taint. Fix: write key=value:effect or key:effect with effect NoSchedule, "
                "PreferNoSchedule or NoExecute, as in amd.com/gpu:NoSchedule."
            )
            raise ValueError(msg)
        return cls(match["key"], match["value"] or "", match["effect"])

    def __str__(self) -> str:
        return f"{self.key}{f'={self.value}' if self.value else ''}:{self.effect}"


def _taint(text: str) -> str:
    return str(Taint.of(text))


def _check_label_key(key: str) -> str:
    if key.startswith("larder.dev/"):
        msg = f"Larder sets {key} itself. Fix: remove the key."
        raise ValueError(msg)
    return key


LabelKey = Annotated[str, Field(pattern=rf"^{_KEY}$"), AfterValidator(_check_label_key)]
LabelValue = Annotated[str, Field(pattern=rf"^({_NAME})?$")]
TaintText = Annotated[
    str, AfterValidator(_taint), WithJsonSchema({"type": "string", "pattern": re.sub(r"\?P<\w+>", "", _TAINT.pattern)})
]


def offers(accelerator: str) -> str:
    """Return the machines that may have the accelerator, in words."""
    found = {kind: offer for kind, cloud in clouds().items() if (offer := cloud.accelerators.get(accelerator))}
    return one_of([*(f"{offer.mark} on {kind}" for kind, offer in found.items()), "nodes of your own"])


class NodePoolSettings(Block):
    """Machines of one kind: an instance type if a cloud makes them, otherwise the names of nodes that exist."""

    instance: str | None = Field(
        None,
        description=(
            f"Machine type of the cloud, as in {one_of(machines.example for machines in clouds().values())}; "
            f"required on {all_of(clouds())}, and refused elsewhere."
        ),
    )
    hosts: Annotated[list[Host], Field(min_length=1)] | None = Field(
        None,
        description=(
            "Names of the nodes (label kubernetes.io/hostname); "
            f"required on {all_of(kind for kind in KINDS if kind not in clouds())}, and refused elsewhere."
        ),
    )
    min: Annotated[int, Field(ge=0, le=1000)] = 1
    """Smallest number of machines of a cloud's pool, over all zones."""
    max: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Largest number of machines of a cloud's pool, over all zones. Default: min, and at least 1."""
    spot: bool = False
    """Use machines that cost less and that the cloud may take back at any time."""
    disk: Size = "100Gi"
    """Disk of each machine of a cloud's pool, for images and for weights that pods fetch for themselves."""
    accelerator: Literal["amd.com/gpu"] | None = Field(
        None,
        description=(
            "Resource of AMD's device plugin, amd.com/gpu, if the machines have it "
            f"({offers('amd.com/gpu')}); larder:kserve requires it."
        ),
    )
    labels: Mapping[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels of the nodes, in addition to larder.dev/pool."""
    taints: list[TaintText] = Field(default_factory=list)
    """Taints of the nodes, as in amd.com/gpu:NoSchedule; pods of the pool tolerate them."""

    @model_serializer(mode="wrap")
    def _omit_cloud_settings(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        whole: dict[str, object] = dump(self)
        return {key: value for key, value in whole.items() if not (self.hosts and key in OF_A_CLOUD)}

    @property
    def most(self) -> int:
        """Return the largest number of machines that the pool may have."""
        return self.max if self.max is not None else max(self.min, 1)

    def tolerated(self) -> tuple[Taint, ...]:
        """Return the taints that the pool's pods tolerate."""
        return tuple(map(Taint.of, self.taints))

    @field_validator("hosts")
    @classmethod
    def _check_hosts(cls, hosts: list[str] | None) -> list[str] | None:
        if twice := sorted({host for host in hosts or () if hosts and hosts.count(host) > 1}):
            msg = f"node {twice[0]!r} appears twice. Fix: name each node once."
            raise ValueError(msg)
        return hosts

    @field_validator("max")
    @classmethod
    def _check_max(cls, most: int | None, info: ValidationInfo) -> int | None:
        fewest = info.data.get("min")
        if most is not None and fewest is not None and most < fewest:
            msg = f"{most} is less than min, which is {fewest}. Fix: write at least {fewest}."
            raise ValueError(msg)
        return most


def _check_shared(pools: dict[str, NodePoolSettings]) -> dict[str, NodePoolSettings]:
    for name, pool in pools.items():
        for other in pools.keys() - {name} if pool.labels or pool.taints else ():
            if shared := set(pool.hosts or ()) & set(pools[other].hosts or ()):
                msg = (
                    f"node {min(shared)!r} is in pools {name!r} and {other!r}, but a node whose labels or taints "
                    "Larder writes belongs to one pool. Fix: remove it from one of them."
                )
                raise ValueError(msg)
    return pools


NodePools = Annotated[dict[PoolName, NodePoolSettings], Field(min_length=1), AfterValidator(_check_shared)]


def unknown_pool(path: str, pool: str, pools: Mapping[str, NodePoolSettings]) -> Problem:
    """Return the problem of a setting at `path` that names a pool which is not there."""
    near = did_you_mean(pool, pools)
    return Problem(path, f"no pool {pool!r} in larder:node-pools. {near}Fix: choose one of {choices(pools)}.")


def hosts_of(pools: Mapping[str, NodePoolSettings]) -> dict[str, tuple[str, ...]]:
    """Return the hosts of each pool; none if a cloud makes its machines."""
    return {name: tuple(pool.hosts or ()) for name, pool in pools.items()}


def taints_of(host: str, pools: Mapping[str, NodePoolSettings]) -> tuple[Taint, ...]:
    """Return the taints that a pod on the host tolerates: those of every pool with the host."""
    of_the_host = [pool for pool in pools.values() if host in (pool.hosts or ())]
    return tuple(dict.fromkeys(taint for pool in of_the_host for taint in pool.tolerated()))
