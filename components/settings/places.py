"""Places of errors in a block, each with its setting and its part of the path in a stack file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .by_kind import ByKind

Shape: TypeAlias = Any
"""Type that a pydantic TypeAdapter takes: a class, or a form such as `Annotated[list[str], …]`."""


@dataclass(frozen=True)
class Place:
    """A block, a setting, or an item of a list or mapping."""

    shape: Shape
    """Its type; None below an unknown key."""
    field: FieldInfo | None
    """The setting at this place or around it; None below an unknown key."""
    step: str = ""
    """Its part of the path."""
    by_kind: ByKind | None = None
    """Classes of a block that has one for each kind."""
    kind: str | None = None
    """The kind of the chosen class; None before the choice."""

    @classmethod
    def of(cls, field: FieldInfo, step: str = "") -> Self:
        """Return the place of a setting."""
        by_kind = next((item for item in field.metadata if isinstance(item, ByKind)), None)
        return cls(field.annotation, field, step, by_kind)

    @property
    def block(self) -> type[BaseModel] | None:
        """Return the class of the block at this place, if there is one."""
        return _block_in(self.shape)

    @property
    def any_block(self) -> type[BaseModel] | None:
        """Return the class of the block at this place, with the settings of every kind."""
        return self.by_kind.any_kind if self.by_kind else self.block

    @property
    def is_list(self) -> bool:
        """Tell if it is a list."""
        return getattr(_mapping_or_list(self.shape), "__origin__", None) is list

    @property
    def keys(self) -> list[str]:
        """Return the keys of the block at this place, those of other kinds included."""
        block = self.any_block
        return [field.alias or name for name, field in block.model_fields.items()] if block else []

    def below(self, part: int | str) -> "Place":
        """Return the place to which a part of pydantic's path leads."""
        if self.by_kind and self.kind is None:
            return replace(self, shape=self.by_kind.of(str(part)), step="", kind=str(part))
        block = self.block
        if block is None:  # the next part is a key of a mapping, or a number in a list
            shape = (get_args(_mapping_or_list(self.shape)) or (None,))[-1]
            return Place(shape, self.field, _step(part))
        for name, field in block.model_fields.items():
            # pydantic writes `node_local`, not `node-local`, for an invalid default.
            if part in (name, field.alias):
                return Place.of(field, _step(field.alias or name))
        return _unknown(part)


def places(block: FieldInfo, error: ErrorDetails) -> list[Place]:
    """Return the places from a block to an error in it."""
    found = [Place.of(block)]
    for part in error["loc"]:
        found.append(found[-1].below(part))
    if error["type"] == "extra_forbidden":
        # `node_local` is unknown: the setting is called `node-local`.
        found[-1] = _unknown(error["loc"][-1])
    return found


def _block_in(shape: Shape) -> type[BaseModel] | None:
    """Return the model that a type stands for, through `Annotated` and `| None`; None for mappings and lists."""
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        return shape
    if getattr(shape, "__origin__", None) in (list, dict, Mapping):
        return None
    return next((found for argument in get_args(shape) if (found := _block_in(argument))), None)


def _mapping_or_list(shape: Shape) -> Shape:
    while shape is not None and getattr(shape, "__origin__", None) not in (list, dict, Mapping):
        shape = next(iter(get_args(shape)), None)
    return shape


def _unknown(part: int | str) -> Place:
    return Place(None, None, _step(part))


def _step(part: int | str) -> str:
    if part == "[key]":  # an error of a key has the path of the key
        return ""
    return f"[{part}]" if isinstance(part, int) else f".{part}"
