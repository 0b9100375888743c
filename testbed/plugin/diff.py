"""Differences between inputs: the properties, and those of them for which the object is replaced."""
# ruff: noqa: ANN401 - JSON has no narrower type

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final

from manifests.fixed import among, replacing
from testbed.plugin.values import UNKNOWN, Manifest

Path = tuple[str | int, ...]


class Kind(Enum):
    """The way in which one property differs."""

    ADD = "ADD"
    DELETE = "DELETE"
    UPDATE = "UPDATE"


@dataclass(frozen=True)
class Change:
    """One differing property; `replaces` when no update of the object can make it."""

    path: Path
    kind: Kind
    replaces: bool = False

    @property
    def property_path(self) -> str:
        """Return the path as Pulumi writes it: `spec.template.spec.containers[0].image`, `metadata.labels["a.b/c"]`."""
        text = ""
        for step in self.path:
            if isinstance(step, int):
                text += f"[{step}]"
            elif re.search(r'[."\[\]]', step):
                escaped = step.replace('"', '\\"')
                text += f'["{escaped}"]'
            else:
                text += f".{step}" if text else step
        return text


def changes(old: Manifest, new: Manifest) -> list[Change]:
    """Return every property that differs between two sets of inputs.

    The official plugin decides by a table what is replaced, and asks nobody: a change of another immutable field (a
    volume's nodeAffinity, a class's binding mode) fails in preview and up with the API server's words. So it does here.
    """
    fixed = replacing(str(new.get("kind", "")), new)
    found = [Change(path, kind) for path, kind in _differences((), old, new)]
    return [
        Change(change.path, change.kind, replaces=bool(among([change.property_path], fixed, old, new)))
        for change in found
    ]


def delete_first(old: Manifest, new: Manifest) -> bool:
    """Tell whether a replacement must delete before it creates: the new object needs the very name of the old one."""
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    return all(before.get(key) == after.get(key) for key in ("name", "namespace"))


def ignored(path: str, patterns: list[str]) -> bool:
    """Tell whether `ignore_changes` covers this property path."""
    return any(path == pattern or path.startswith((f"{pattern}.", f"{pattern}[")) for pattern in patterns)


_ABSENT: Final = object()


def _differences(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, Kind]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences((*path, key), old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _ABSENT
            after = new[index] if index < len(new) else _ABSENT
            yield from _differences((*path, index), before, after)
    elif old is _ABSENT:
        yield path, Kind.ADD
    elif new is _ABSENT:
        yield path, Kind.DELETE
    elif not same(path, old, new):
        yield path, Kind.UPDATE


def same(path: Path, old: Any, new: Any) -> bool:
    """Tell whether values are equal as Kubernetes sees it: where quantities stand, `0.5` is `500m`."""
    if old is UNKNOWN or new is UNKNOWN:
        return False
    if type(old) is type(new) and old == new:
        return True
    if not _QUANTITIES.intersection(path):
        return False
    before, after = _quantity(old), _quantity(new)
    return before is not None and before == after


_QUANTITIES: Final = frozenset({"requests", "limits", "capacity", "hard", "sizeLimit"})
_SUFFIX: Final = {"": Decimal(1), "m": Decimal("1e-3")} | {
    name: Decimal(base) ** power
    for base, names in ((1000, "k M G T P E"), (1024, "Ki Mi Gi Ti Pi Ei"))
    for power, name in enumerate(names.split(), start=1)
}
_QUANTITY: Final = re.compile(r"([+-]?[0-9.]+)([mkKMGTPE]?i?)")


def _quantity(value: Any) -> Decimal | None:
    shape = _QUANTITY.fullmatch(str(value))
    try:
        return Decimal(shape[1]) * _SUFFIX[shape[2]] if shape else None
    except (InvalidOperation, KeyError):
        return None
