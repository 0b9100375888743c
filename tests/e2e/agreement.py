"""Two comparisons of the same two plans, held against each other: that of previews without a cluster, and Pulumi's."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from preview.changes import Change

WHAT = {
    "create": "created",
    "update": "changed",
    "delete": "deleted",
    "replace": "replaced",
    "create-replacement": "replaced",
}
"""Operations of Pulumi, each with the word of previews. The other half of a replacement (delete-replaced) has none."""
_QUOTED = re.compile(r"\[\"([^\"]*)\"\]")


def disagreements(ours: Sequence[Change], theirs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each object of which the two differ: in what happens to it, or in the fields that change."""
    one = {change.title: (change.what, _fields(change.paths)) for change in ours}
    other = {
        f"{step['kind']} {step['name']}": (WHAT[step["op"]], _fields(step["differs"]))
        for step in theirs
        if step["op"] != "delete-replaced"
    }
    return [
        f"{title}: previews say {_said(one.get(title))}, Pulumi says {_said(other.get(title))}"
        for title in sorted({*one, *other})
        if one.get(title) != other.get(title)
    ]


def _fields(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths up to the first list: Pulumi numbers its items, previews name them."""
    return tuple(sorted({_QUOTED.sub(r".\1", path).partition("[")[0] for path in paths}))


def _said(outcome: tuple[str, tuple[str, ...]] | None) -> str:
    if outcome is None:
        return "nothing"
    what, fields = outcome
    return f"{what} {', '.join(fields)}".strip()
