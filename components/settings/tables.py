"""`python -m components.settings.tables`: write the tables of docs/settings.md from the descriptions of the settings.

A table stands between two comments, the first of which names its block. A test compares the page with this module.
"""

import html
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .by_kind import ByKind
from .places import Place
from .root import Settings
from .sources import NAMESPACE

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
_TABLE = re.compile(r"(?<=<!-- settings of )(?P<key>\S+)(?P<note>: [^\n]*-->\n).*?(?=<!-- end -->)", re.DOTALL)
_DESCRIPTION = re.compile(r"(?P<meaning>.*?)(?: Default: (?P<default>.*)\.)?", re.DOTALL)


def page(text: str) -> str:
    """Return a page with all its tables written from the settings. Raises KeyError for an unknown block.

    A table leaves out the settings of a block inside that has a table of its own on the page.
    """
    own = {found["key"] for found in _TABLE.finditer(text)}
    return _TABLE.sub(lambda found: f"{found['key']}{found['note']}\n{table(found['key'], own)}\n", text)


def table(key: str, own: Collection[str] = ()) -> str:
    """Return the table of a block, in Markdown, without the settings below other paths in `own`."""
    first, *parts = key.removeprefix(NAMESPACE).split(".")
    place = Place.of(Settings.model_fields[first.replace("-", "_")])
    for part in parts:
        place = place.below(part)
    if place.field is None:
        raise KeyError(key)
    lines = ["| key | meaning | default |", "|---|---|---|", *_rows(key, place, {*own} - {key})]
    return "".join(f"{line}\n" for line in lines)


def _rows(path: str, place: Place, own: Collection[str], required: str | None = None) -> Iterator[str]:
    field = place.field or FieldInfo()
    words = _DESCRIPTION.fullmatch(field.description or "")
    meaning, default = (words["meaning"], words["default"]) if words else ("", None)
    yield f"| `{path}` | {_text(meaning)} | {required or (_text(default) if default else _default(field))} |"
    if path in own:
        return
    below, step = place, ""
    if place.any_block is None:
        below, step = place.below("<name>"), "[]" if place.is_list else ".<name>"
    for name, member in below.any_block.model_fields.items() if below.any_block else ():
        yield from _rows(f"{path}{step}.{member.alias or name}", Place.of(member), own, _kinds(place.by_kind, name))


def _kinds(by_kind: ByKind | None, name: str) -> str | None:
    """Return which kinds require a setting; None if it has the same default for every kind."""
    if by_kind is None or name in by_kind.base.model_fields:
        return None
    kinds = [kind for kind, member in by_kind.classes.items() if _is_required(member, name)]
    return f"required on {', '.join(f'`{kind}`' for kind in kinds)}" if kinds else None


def _is_required(block: type[BaseModel], name: str) -> bool:
    return name in block.model_fields and block.model_fields[name].is_required()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return "all defaults"
    if value is None and "required" in (field.description or ""):
        return "depends"  # on other settings, as the meaning says
    if value is None or value in ([], {}, ()):
        return "none"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _text(text: str) -> str:
    """Return a description as the cell of a table."""
    return html.escape(text, quote=False).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
