"""Blocks that have a class for each value of their key `kind`: a discriminated union, made from a table of classes."""

import functools
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Optional, Union

from pydantic import (
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    TypeAdapter,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from .base import Block
from .names import one_of

UNKNOWN = ""
"""Stands in the path of an error for a kind that is missing or not in the table."""


class ByKind:
    """Annotation of a setting whose block is read as the class that `classes` has for its kind.

    `noun` names what the block describes, in errors; `base` has the fields that all classes share. The table is looked
    up whenever a block is read, so that it may grow after the settings are declared.
    """

    def __init__(self, noun: str, base: type[Block], classes: Mapping[str, type[Block]]) -> None:
        self.noun, self.base, self.classes = noun, base, classes

    @property
    def any_kind(self) -> type[Block]:
        """Return the class with the fields of every kind, none of which is required."""
        return _any_kind(self.noun, self.base, tuple(self.classes.items()))

    def of(self, kind: str) -> type[Block]:
        """Return the class of a kind, or the class with every field if the kind is unknown."""
        return self.classes.get(kind, self.any_kind)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        union: Any = Union[tuple(self.classes.values())]  # noqa: UP007 (the classes are known at run time only)
        return handler(TypeAdapter[Any](Annotated[union, Field(discriminator="kind")]).core_schema)

    def _read(self, value: object) -> Block:
        if isinstance(value, self.base):
            return value
        any_kind = self.any_kind
        if isinstance(value, dict):
            # Null counts as absent for a setting that only some kinds have, on its own kind and on others.
            some = {field.alias for name, field in any_kind.model_fields.items() if name not in self.base.model_fields}
            value = {key: item for key, item in value.items() if item is not None or key not in some}
        members = ((UNKNOWN, any_kind), *self.classes.items())
        block: Block = _union(members).validate_python(value)
        return block


@functools.lru_cache(maxsize=4)
def _union(members: tuple[tuple[str, type[Block]], ...]) -> TypeAdapter[Any]:
    kinds = dict(members)

    def tag(value: object) -> str:
        kind = value.get("kind") if isinstance(value, dict) else None
        return kind if isinstance(kind, str) and kind in kinds else UNKNOWN

    union: Any = Union[tuple(Annotated[member, Tag(kind)] for kind, member in members)]  # noqa: UP007
    return TypeAdapter(Annotated[union, Discriminator(tag)])


@functools.lru_cache(maxsize=4)
def _any_kind(noun: str, base: type[Block], classes: tuple[tuple[str, type[Block]], ...]) -> type[Block]:
    """Make the class that reads a block of no known kind, so that every other error of the block is found too."""
    kinds: Any = tuple(kind for kind, _ in classes)
    about = f"Kind of the {noun}: {one_of(kinds)}."
    fields: dict[str, Any] = {"kind": (Literal[kinds], Field(description=about))}
    for _, member in classes:
        for name, field in member.model_fields.items():
            if name not in base.model_fields:
                shape: Any = Optional[field.rebuild_annotation()]  # noqa: UP045 (known at run time only)
                fields.setdefault(name, (shape, Field(None, description=field.description)))
    made: type[Block] = create_model(base.__name__, __base__=base, __module__=base.__module__, **fields)
    return made
