"""The names in files that people and the program write, as two commits know them: stack files and the sidecar's files.

Compared are the settings by their paths, each with its types, choices and default, as the JSON Schemas have them. How a
schema is put together is no difference, nor is a text in it; what is refused is the matter of `verdicts`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.rails.differences import Difference, differences
from tests.rails.trees import RailError, Tree

_SCRIPT = Path(__file__).with_name("schemas.py")


def record(tree: Tree) -> dict[str, Any]:
    """Return every schema of a checkout. Raises RailError."""
    listed = [path for path in tree.root.rglob("schema.json") if ".larder" not in path.relative_to(tree.root).parts]
    if len(listed) != 1:
        msg = f"{tree.root}: {len(listed)} files named schema.json, not the one of stack files"
        raise RailError(msg)
    schemas = {"stack file": json.loads(listed[0].read_text()), **json.loads(tree.run(_SCRIPT))}
    return {name: settings(schema) for name, schema in schemas.items()}


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield what differs between the schemas of two commits."""
    yield from differences(before, after)


def settings(schema: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts of each setting by its path: of every alternative where there are several."""
    found: dict[str, set[str]] = {}
    _walk(schema, "", schema.get("$defs", {}), (), found)
    return {path: ", ".join(sorted(facts)) for path, facts in found.items()}


def _walk(
    schema: object, path: str, classes: Mapping[str, Any], inside: tuple[str, ...], found: dict[str, set[str]]
) -> None:
    if not isinstance(schema, Mapping):  # true or false: anything or nothing
        return
    facts = found.setdefault(path, set())
    # Null is what a setting that is not there stands for.
    facts |= {f"type {kind}" for kind in _given(schema, "type") if kind != "null"}
    facts |= {f"default {json.dumps(value)}" for value in _given(schema, "default") if value is not None}
    facts |= {f"choice {json.dumps(choice)}" for choice in (*schema.get("enum", ()), *_given(schema, "const"))}
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name and name not in inside:
        _walk(classes[name], path, classes, (*inside, name), found)
    for word in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(word, ()):
            _walk(one, path, classes, inside, found)
    for key, one in schema.get("properties", {}).items():
        _walk(one, f"{path}.{key}".lstrip("."), classes, inside, found)
    for one in (*_given(schema, "additionalProperties"), *schema.get("patternProperties", {}).values()):
        _walk(one, f"{path}.*", classes, inside, found)
    for one in _given(schema, "items"):
        _walk(one, f"{path}[]", classes, inside, found)


def _given(schema: Mapping[str, Any], key: str) -> list[Any]:
    return [schema[key]] if key in schema else []
