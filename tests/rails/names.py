"""The names in files that people and the program write, as two commits know them: stack files and the sidecar's files.

Compared are the JSON Schemas without titles and descriptions, each class at the place where it is used.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.rails.differences import Difference, differences
from tests.rails.trees import RailError, Tree

_SCRIPT = Path(__file__).with_name("schemas.py")
_TEXTS = ("title", "description", "$schema")


def record(tree: Tree) -> dict[str, Any]:
    """Return every schema of a checkout. Raises RailError."""
    listed = [path for path in tree.root.rglob("schema.json") if ".larder" not in path.relative_to(tree.root).parts]
    if len(listed) != 1:
        msg = f"{tree.root}: {len(listed)} files named schema.json, not the one of stack files"
        raise RailError(msg)
    schemas = {"stack file": json.loads(listed[0].read_text()), **json.loads(tree.run(_SCRIPT))}
    return {name: plain(schema) for name, schema in schemas.items()}


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield what differs between the schemas of two commits."""
    yield from differences(before, after)


def plain(schema: Mapping[str, Any]) -> Any:
    """Return a schema without texts and without the names of classes."""
    return _plain(schema, schema.get("$defs", {}), ())


def _plain(value: Any, classes: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_plain(item, classes, inside) for item in value]
    if not isinstance(value, Mapping):
        return value
    if isinstance(value.get("$ref"), str):
        name = value["$ref"].rpartition("/")[2]
        if name in inside:
            return {"as": len(inside) - inside.index(name)}
        value = {**classes[name], **{key: item for key, item in value.items() if key != "$ref"}}
        inside = (*inside, name)
    return {
        # A setting may be called as a text of the schema is.
        key: {name: _plain(one, classes, inside) for name, one in item.items()}
        if key == "properties"
        else _plain(item, classes, inside)
        for key, item in value.items()
        if key not in (*_TEXTS, "$defs")
    }
