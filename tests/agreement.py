"""Two comparisons of the same two plans, held against each other: that of previews without a cluster, and Pulumi's."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
_TEXTS = re.compile(r"^stringData\b")
_ITEM = re.compile(r"\[[^]]*\]")


@dataclass(frozen=True)
class Outcome:
    """One object in one comparison. `[]` stands for any item of a list: Pulumi numbers items, previews name them."""

    title: str
    what: str
    paths: tuple[str, ...]
    """Property paths that differ."""
    replaced_for: tuple[str, ...]
    """Those that replace the object."""
    deletes_first: bool | None = None
    """True if a replacement deletes the old object first; None if Pulumi's preview does not say."""

    def agrees(self, other: "Outcome") -> bool:
        """Tell if both do the same for the same properties."""
        same = (self.title, self.what) == (other.title, other.what)
        if other.deletes_first not in (None, self.deletes_first):
            return False
        return same and _match(self.paths, other.paths) and _match(self.replaced_for, other.replaced_for)

    def __str__(self) -> str:
        """Return the outcome in words."""
        reasons = f" for {', '.join(self.replaced_for)}" if self.replaced_for else ""
        order = " (the old one first)" if self.deletes_first else ""
        return f"{self.what}{order}{reasons} {', '.join(self.paths)}".strip()


def disagreements(ours: Sequence[Change], theirs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each object of which the two differ: in the operation, or in the properties that change."""
    one = {
        change.urn: Outcome(
            change.title,
            change.what,
            _plain(change.kind, change.paths),
            _plain(change.kind, change.replaced_for),
            change.deletes_first,
        )
        for change in ours
    }
    other = {
        step["urn"]: Outcome(
            f"{step['kind']} {step['name']}",
            WHAT.get(step["op"], step["op"]),
            _plain(step["kind"], step["differs"]),
            _plain(step["kind"], step["replaced_for"]),
            step.get("deletes_first"),
        )
        for step in theirs
        if step["op"] != "delete-replaced"
    }
    return [
        f"{(mine or its).title}: previews say {mine or 'nothing'}, Pulumi says {its or 'nothing'}"  # type: ignore[union-attr]
        for mine, its in ((one.get(urn), other.get(urn)) for urn in sorted({*one, *other}))
        if not (mine and its and mine.agrees(its))
    ]


def _plain(kind: str, paths: Iterable[str]) -> tuple[str, ...]:
    plain = {_ITEM.sub("[]", _QUOTED.sub(r".\1", path)) for path in paths}
    # The official plugin compares what the API server makes of a Secret's stringData.
    return tuple(sorted({_TEXTS.sub("data", path) for path in plain} if kind == "Secret" else plain))


def _match(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Tell if each path has its like on the other side: the same one, or one above or below it.

    Below a list whose items come and go, only the list counts: by their numbers other items differ than by their names.
    """
    least = [path for path in ours if not any(path != above and _below(path, above) for above in ours)]
    return all(any(_related(path, its) for its in theirs) for path in least) and all(
        any(_related(path, its) for path in least) for its in theirs
    )


def _related(one: str, other: str) -> bool:
    return _below(one, other) or _below(other, one)


def _below(path: str, above: str) -> bool:
    return path == above or path.startswith((f"{above}.", f"{above}["))
