"""Differences between two JSON values, each with its path and both sides."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SHOWN = 160
"""Maximum characters of a value in a line."""
ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """A value that differs."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        """Return a line with path, value before and value after."""
        return f"{self.path}: {_shown(self.before)} -> {_shown(self.after)}"


def differences(before: object, after: object, path: str = "") -> Iterator[Difference]:
    """Yield every difference, as deep as both sides have one shape.

    Items of a list are known by their names where they have them. A text that is JSON is compared as that, so that a
    path leads into a configuration file.
    """
    if before == after:
        return
    one, other = _members(before), _members(after)
    if one is None or other is None:
        yield Difference(path.lstrip("."), before, after)
        return
    found = False
    for key in dict.fromkeys([*one, *other]):
        for difference in differences(one.get(key, ABSENT), other.get(key, ABSENT), f"{path}{key}"):
            found = True
            yield difference
    if not found:  # the order of a list, or the spelling of a text
        yield Difference(path.lstrip("."), before, after)


def _members(value: object) -> dict[str, Any] | None:
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if isinstance(value, Mapping):
        return {f".{key}": item for key, item in value.items()}
    if not isinstance(value, list):
        return None
    named = {f"[{item['name']}]": item for item in value if isinstance(item, Mapping) and "name" in item}
    return named if value and len(named) == len(value) else {f"[{number}]": item for number, item in enumerate(value)}


def _shown(value: object) -> str:
    text = value if value == ABSENT else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
