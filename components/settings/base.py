"""Base of the stack file's blocks: kebab-case keys, no unknown keys, and the context that validators check against."""

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
"""The only stack that may serve weights without a known sha256."""


class Block(Model):
    """Base of every block under `larder:`."""

    model_config = ConfigDict(populate_by_name=False, use_attribute_docstrings=True)


class GrowingBlock(Block):
    """A block that takes some of its fields from a registry."""

    @classmethod
    def take(cls, fields: Mapping[str, tuple[Any, Any]], *, after: str = "") -> None:
        """Add fields, each with its type and its `Field(…)`, behind the field `after` or at the end.

        Rebuild every model that already has this one as a field.
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
    """The models of catalog/models."""

    entries: Mapping[str, CatalogEntry]
    wrong: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Problems of each file that is not a valid entry, by the file's name."""

    def of(self, models: Iterable[str]) -> tuple[CatalogEntry, ...]:
        """Return the entries of these models."""
        return tuple(self.entries[model] for model in models)


@dataclass(frozen=True)
class Known:
    """Context of a validation: the stack, the catalog, and the blocks that were read before this one.

    The part of a block that could not be read is None, so that no problem is reported twice.
    """

    stack: str
    catalog: Catalog
    pools: Mapping[str, tuple[str, ...]] | None = None
    """Hosts of each node pool; empty if its machines come from a cloud."""
    gpu_pools: frozenset[str] | None = None
    """Node pools that offer GPUs."""
    stacks: Mapping[str, "type[StackSettings]"] = field(default_factory=dict)
    """Class of each stack block in the file, valid or not."""
    replicated: frozenset[str] = frozenset()
    """Stacks with more than one replica."""
    named: Mapping[str, str] = field(default_factory=dict)
    """Stack that names a model as its own, by model."""
    cluster: "ClusterSettings | None" = None
    """The cluster."""
    strategy: str | None = None
    """The strategy in force."""
    models: tuple[CatalogEntry, ...] | None = None
    """Entries of `larder:models`."""
    git_sync: bool | None = None
    """True if larder:images names git-sync."""
    has_token: bool = False
    """True if larder:api-token is set."""
    notes: tuple[str, ...] = ()
    """A line for each former name in the config, with today's name."""
    manager: bool = False
    """True if the file has larder:manager, valid or not."""
    weights_hosts: tuple[str, ...] | None = None
    """The only nodes that can reach the weights; None if all can."""

    @property
    def kubernetes(self) -> tuple[int, int] | None:
        """Return the major and minor version of the cluster's Kubernetes; None if it is unknown."""
        return self.cluster.version if self.cluster else None

    @property
    def hosts(self) -> frozenset[str] | None:
        """Return the hosts of all node pools; None if they are unknown."""
        return None if self.pools is None else frozenset(host for hosts in self.pools.values() for host in hosts)

    @classmethod
    def of(cls, info: ValidationInfo) -> Self | None:
        """Return the context of the running validation; None if it checks only the shape."""
        return info.context if isinstance(info.context, cls) else None
