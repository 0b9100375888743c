"""Differences between inputs: the properties, and those of them for which the object is replaced."""
# ruff: noqa: ANN401 - JSON has no narrower type

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from manifests.fixed import among, replacing
from manifests.quantities import are_normalized, same_amount
from testbed.plugin.values import UNKNOWN, Manifest


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
    old, new = _stored(old), _stored(new)
    fixed = replacing(str(new.get("kind", "")), new)
    found = _differences("", old, new, amounts=are_normalized(new))
    return [Change(path, kind, replaces=bool(among([path], fixed, old, new))) for path, kind in found]


def _stored(manifest: Manifest) -> Manifest:
    """Return a Secret as the API server stores it, and other objects as they are: its texts become data."""
    texts = manifest.get("stringData")
    if manifest.get("kind") != "Secret" or not isinstance(texts, dict) or UNKNOWN in texts.values():
        return manifest
    data = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
    rest = {key: value for key, value in manifest.items() if key != "stringData"}
    return rest | {"data": {**(manifest.get("data") or {}), **data}}


def delete_first(old: Manifest, new: Manifest) -> bool:
    """Tell whether a replacement must delete before it creates: the new object needs the very name of the old one."""
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    return all(before.get(key) == after.get(key) for key in ("name", "namespace"))


_ABSENT: Final = object()


def _differences(path: str, old: Any, new: Any, *, amounts: bool) -> Iterator[tuple[str, str]]:
    """Yield the paths that differ, and how; with `amounts`, another spelling of a quantity is no difference."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(_below(path, key), old.get(key, _ABSENT), new.get(key, _ABSENT), amounts=amounts)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _ABSENT
            after = new[index] if index < len(new) else _ABSENT
            yield from _differences(f"{path}[{index}]", before, after, amounts=amounts)
    elif old is _ABSENT:
        yield path, "ADD"
    elif new is _ABSENT:
        yield path, "DELETE"
    elif (type(old) is not type(new) or old != new) and not (amounts and same_amount(path, old, new)):
        yield path, "UPDATE"


def _below(path: str, key: str) -> str:
    if re.search(r'[."\[\]]', key):
        escaped = key.replace('"', '\\"')
        return f'{path}["{escaped}"]'
    return f"{path}.{key}" if path else key
