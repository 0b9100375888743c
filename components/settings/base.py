"""The base of the blocks of a stack config: kebab-case keys, no unknown keys, and the facts that they are judged by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Self

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.base import Model
from pydantic import ConfigDict, Field, ValidationInfo
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from .clusters import ClusterSettings
    from .stack import StackSettings

ObjectName = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
"""Name of an object in the namespace."""
Subdomain = Annotated[
    str,
    Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
]
"""Grammar of the names of most objects in Kubernetes (RFC 1123)."""
DEV = "dev"
"""The stack that may take what others must not: weights nobody has hashed yet."""


class Block(Model):
    """Base of every block under `larder:`."""

    model_config = ConfigDict(populate_by_name=False, use_attribute_docstrings=True)


class GrowingBlock(Block):
    """A block that takes some of its fields from a registry."""

    @classmethod
    def take(cls, fields: Mapping[str, tuple[Any, Any]], *, after: str = "") -> None:
        """Add fields, each with its type and its `Field(…)`, behind the field `after` or at the end.

        A model that was made of this one before has to be rebuilt.
        """
        taken = {name: FieldInfo.from_annotated_attribute(shape, field) for name, (shape, field) in fields.items()}
        known = {name: field for name, field in cls.__pydantic_fields__.items() if name not in taken}
        names = list(known)
        at = names.index(after) + 1 if after else len(names)
        order = [*names[:at], *taken, *names[at:]]
        cls.__pydantic_fields__ = {name: (known | taken)[name] for name in order}
        cls.model_rebuild(force=True)


@dataclass(frozen=True)
class Catalog:
    """The models there are."""

    entries: Mapping[str, CatalogEntry]
    wrong: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Files that are no entries, by their names: the lines that say why."""

    def of(self, models: Iterable[str]) -> tuple[CatalogEntry, ...]:
        """Return the entries of these models."""
        return tuple(self.entries[model] for model in models)


@dataclass(frozen=True)
class Known:
    """The facts that a block is judged by: the stack, the catalog, and the blocks that were read before it.

    A block that could not be read leaves its part unknown (None): nothing is reported twice.
    """

    stack: str
    catalog: Catalog
    pools: Mapping[str, tuple[str, ...]] | None = None
    """The node pools, each with its hosts; none where its machines come from a cloud."""
    gpu_pools: frozenset[str] | None = None
    """Those of them that offer GPUs."""
    stacks: Mapping[str, "type[StackSettings]"] = field(default_factory=dict)
    """The stack blocks that are there, readable or not, with the class of each."""
    replicated: frozenset[str] = frozenset()
    """Those of them that stand there several times."""
    named: Mapping[str, str] = field(default_factory=dict)
    """Models that a stack names as its own -> the stack."""
    cluster: "ClusterSettings | None" = None
    """The cluster."""
    strategy: str | None = None
    """Word of the caching strategy."""
    models: tuple[CatalogEntry, ...] | None = None
    """Entries of `larder:models`."""
    git_sync: bool | None = None
    """True if larder:images names git-sync."""
    has_token: bool = False
    """True if larder:api-token is set."""
    notes: tuple[str, ...] = ()
    """Former names that the config has, each with the one of today."""
    manager: bool = False
    """True if the block larder:manager is there, readable or not."""
    weights_hosts: tuple[str, ...] | None = None
    """The only nodes that can reach the weights, where the strategy keeps them on some."""

    @property
    def kubernetes(self) -> tuple[int, int] | None:
        """Major and minor version of the cluster's Kubernetes; None if it is unknown."""
        return self.cluster.version if self.cluster else None

    @property
    def hosts(self) -> frozenset[str] | None:
        """Return the hosts that some node pool provides."""
        return None if self.pools is None else frozenset(host for hosts in self.pools.values() for host in hosts)

    @classmethod
    def of(cls, info: ValidationInfo) -> Self | None:
        """Return the facts of the running validation; None if it looks at shapes alone."""
        return info.context if isinstance(info.context, cls) else None
