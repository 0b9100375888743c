"""Blocks that can be read in part, so that one run reports all of their problems."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from pydantic import TypeAdapter, ValidationError

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
        values = dict(_settings(place.block, raw, errors))
        written = [name for name, field in place.block.model_fields.items() if (field.alias or name) in raw]
        return place.block.in_part(values, written)
    item = place.below("<key>")
    if item.block is None:
        raise Unread.setting(place.step)
    found = {}
    for key, value in raw.items():
        with suppress(Unread):
            found[key] = _part(item, item.shape, value, _below(errors, key))
    return found


def _settings(block: type[Block], raw: Mapping[str, object], errors: Sequence[Steps]) -> Iterator[tuple[str, object]]:
    """Yield the settings of a block that can be read, by their fields."""
    for name, field in block.model_fields.items():
        key = field.alias or name
        here = _below(errors, key, name)
        with suppress(Unread):
            if key in raw:
                yield name, _part(Place.of(field), field.rebuild_annotation(), raw[key], here)
            elif not here:
                yield name, field.get_default(call_default_factory=True, validated_data={})


def _part(place: Place, shape: Shape, raw: object, errors: Sequence[Steps]) -> object:
    if errors:
        return readable(place, raw, errors)
    try:
        return TypeAdapter(shape).validate_python(raw)
    except ValidationError as error:  # pydantic changes a key that is no valid text, so its errors are not found
        raise Unread.setting(place.step) from error


def _below(errors: Sequence[Steps], *keys: str) -> list[Steps]:
    return [steps[1:] for steps in errors if steps and steps[0] in keys]
