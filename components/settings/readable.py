"""Blocks that can be read in part, so that one run reports all of their problems."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from pydantic import TypeAdapter, ValidationError

from .base import Block
from .places import Place, Shape
from .problem import Unread

Steps = tuple[int | str, ...]
"""The way from a place to an error below it, as pydantic gives it."""
_AT_KEY = ("[key]",)
"""The way to an error of a key itself, below the key."""


def readable(place: Place, raw: object, errors: Sequence[Steps]) -> object:
    """Return the part of a block, or of a mapping of blocks, that has none of these errors.

    Access to a setting that is not there raises Unread, as this function does if nothing can be read.
    """
    if not isinstance(raw, Mapping) or () in errors or place.by_kind:
        raise Unread.setting(place.step)
    below = defaultdict(list)
    for first, *rest in errors:
        below[first].append(tuple(rest))
    if place.block and issubclass(place.block, Block):
        values = dict(_settings(place.block, raw, below))
        written = [name for name, field in place.block.model_fields.items() if (field.alias or name) in raw]
        return place.block.in_part(values, written)
    item = place.below("<key>")
    if item.block is None:
        raise Unread.setting(place.step)
    adapter, found = TypeAdapter(item.shape), {}
    for key, value in raw.items():
        here = below[key] if isinstance(key, str) else [_AT_KEY]
        with suppress(Unread):
            if _AT_KEY not in here:
                found[key] = _part(item, adapter, value, here)
    return found


def _settings(
    block: type[Block], raw: Mapping[str, object], below: Mapping[int | str, list[Steps]]
) -> Iterator[tuple[str, object]]:
    """Yield the settings of a block that can be read, by their fields."""
    for name, field in block.model_fields.items():
        key = field.alias or name
        here = [*below[key], *(below[name] if name != key else ())]
        with suppress(Unread):
            if key in raw:
                shape: Shape = field.rebuild_annotation()
                yield name, _part(Place.of(field), TypeAdapter(shape), raw[key], here)
            elif not here:
                yield name, field.get_default(call_default_factory=True, validated_data={})


def _part(place: Place, adapter: TypeAdapter[object], raw: object, errors: Sequence[Steps]) -> object:
    if errors:
        return readable(place, raw, errors)
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:  # pydantic changes a key that is no valid text, so its errors are not found
        raise Unread.setting(place.step) from error
