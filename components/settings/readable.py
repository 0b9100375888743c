"""Blocks that can be read in part, so that one run reports all of their problems."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from .base import Block
from .places import Place, Shape
from .problem import Unread

Steps = tuple[int | str, ...]
"""The way from a place to an error below it, as pydantic gives it."""


def readable(place: Place, raw: object, errors: Sequence[Steps]) -> object:
    """Return the part of a block, or of a mapping of blocks, that has none of these errors.

    Access to a setting that is not there raises Unread, as this function does if nothing can be read.
    """
    if not isinstance(raw, Mapping) or () in errors or place.by_kind:
        raise Unread.setting(place.step)
    if place.block and issubclass(place.block, Block):
        return _block(place.block, raw, errors)
    item = place.below("<key>")
    if item.block is None:
        raise Unread.setting(place.step)
    return {key: _part(item, item.shape, value, _below(errors, key)) for key, value in raw.items()}


def _block(block: type[Block], raw: Mapping[str, Any], errors: Sequence[Steps]) -> Block:
    values, written = {}, set()
    for name, field in block.model_fields.items():
        key = field.alias or name
        here = _below(errors, key, name)
        try:
            if key in raw:
                values[name] = _part(Place.of(field), field.rebuild_annotation(), raw[key], here)
                written.add(name)
            elif not here:
                values[name] = field.get_default(call_default_factory=True, validated_data=values)
        except Unread:
            continue
    return block.in_part(values, written)


def _part(place: Place, shape: Shape, raw: object, errors: Sequence[Steps]) -> object:
    return readable(place, raw, errors) if errors else TypeAdapter(shape).validate_python(raw)


def _below(errors: Sequence[Steps], *keys: str) -> list[Steps]:
    return [steps[1:] for steps in errors if steps and steps[0] in keys]
