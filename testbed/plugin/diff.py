"""Differences between inputs: the properties, and those of them for which the object is replaced."""
# ruff: noqa: ANN401 - JSON has no narrower type

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from manifests.fixed import among, replacing
from testbed.plugin.values import Manifest


@dataclass(frozen=True)
class Change:
    """One differing property; `replaces` when no update of the object can make it."""

    path: str
    """The path as Pulumi writes it: `spec.template.spec.containers[0].image`, `metadata.labels["a.b/c"]`."""
    kind: str
    """ADD, DELETE or UPDATE."""
    replaces: bool = False


def changes(old: Manifest, new: Manifest) -> list[Change]:
    """Return every property that differs between two sets of inputs.

    The official plugin decides by a table what is replaced, and asks nobody: a change of another immutable field (a
    volume's nodeAffinity, a class's binding mode) fails in preview and up with the API server's words. So it does here.
    """
    fixed = replacing(str(new.get("kind", "")), new)
    found = _differences("", old, new)
    return [Change(path, kind, replaces=bool(among([path], fixed, old, new))) for path, kind in found]


def delete_first(old: Manifest, new: Manifest) -> bool:
    """Tell whether a replacement must delete before it creates: the new object needs the very name of the old one."""
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    return all(before.get(key) == after.get(key) for key in ("name", "namespace"))


_ABSENT: Final = object()


def _differences(path: str, old: Any, new: Any) -> Iterator[tuple[str, str]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(_below(path, key), old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _ABSENT
            after = new[index] if index < len(new) else _ABSENT
            yield from _differences(f"{path}[{index}]", before, after)
    elif old is _ABSENT:
        yield path, "ADD"
    elif new is _ABSENT:
        yield path, "DELETE"
    elif type(old) is not type(new) or old != new:
        yield path, "UPDATE"


def _below(path: str, key: str) -> str:
    if re.search(r'[."\[\]]', key):
        escaped = key.replace('"', '\\"')
        return f'{path}["{escaped}"]'
    return f"{path}.{key}" if path else key
