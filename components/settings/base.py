"""Base of the stack file's blocks: kebab-case keys, and no unknown keys."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Self

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.base import Model
from pydantic import ConfigDict, Field
from pydantic.fields import FieldInfo

from .problem import Problem, Unread

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

    @classmethod
    def in_part(cls, values: Mapping[str, Any], written: Iterable[str] = ()) -> Self:
        """Return a block with these settings, by their fields. Access to any other raises Unread."""
        block = cls.model_construct(_fields_set={*written}, **values)
        for name in cls.model_fields.keys() - values.keys():
            block.__dict__.pop(name, None)  # a default
        return block

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Raise Unread for a setting that could not be read."""
            if name in type(self).model_fields:
                raise Unread.setting(name)
            return super().__getattr__(name)


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
    wrong: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    """Problems of each file that is not a valid entry, by the file's name."""

    def of(self, models: Iterable[str]) -> tuple[CatalogEntry, ...]:
        """Return the entries of these models. Raises Unread if one has no valid entry."""
        named = tuple(models)
        for model in named:
            if model in self.wrong or model not in self.entries:
                raise Unread.setting(model)
        return tuple(self.entries[model] for model in named)
