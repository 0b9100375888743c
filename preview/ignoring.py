"""`ignore_changes`, applied to the inputs of a resource before comparison as Pulumi's engine does."""

import re
from collections.abc import Iterable, Mapping

from .properties import Property

_SEGMENT = re.compile(r'\["([^"]*)"\]|\[(\d+|\*)\]|([^.\[\]]+)')


def with_ignored(
    before: Mapping[str, Property], after: Mapping[str, Property], paths: Iterable[str]
) -> Mapping[str, Property]:
    """Return `after` with the old value of every ignored property, or without the property if it had no old value."""
    for path in paths:
        segments = [quoted or index or key for quoted, index, key in _SEGMENT.findall(path)]
        if segments:
            after = _reset(before, after, segments)
    return after


def _reset(before: Property, after: Property, path: list[str]) -> Property:
    first, rest = path[0], path[1:]
    if isinstance(after, Mapping):
        old = before if isinstance(before, Mapping) else {}
        new = dict(after)
        for key in [*dict.fromkeys([*old, *new])] if first == "*" else [first]:
            if rest and key in new:
                new[key] = _reset(old.get(key), new[key], rest)
            elif not rest and key in old:
                new[key] = old[key]
            elif not rest:
                new.pop(key, None)
        return new
    if isinstance(after, list):
        was = before if isinstance(before, list) else []
        wanted = [number for number in range(min(len(after), len(was))) if first in ("*", str(number))]
        return [
            item if number not in wanted else _reset(was[number], item, rest) if rest else was[number]
            for number, item in enumerate(after)
        ]
    return after
