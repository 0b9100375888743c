"""A recorded walk from strategy to strategy: previews, effects on clients, and fetched bytes."""

import json
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

SIGNS = {"create": "+", "delete": "-", "update": "~", "replace": "±", "create-replacement": "±", "delete-replaced": ""}
"""Operations of a preview; the two halves of a replacement are one line."""
SHOWPIECE = (("none", "image-volume"), ("image-volume", "node-local"), ("node-local", "none"))
"""Steps of a walk through all pairs whose previews the page shows; swap.json has the others."""
COLUMNS = ("step", "preview", "answered", "failed", "fetched from the hub", "weights readable", "whole `make up`")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One swap under load."""

    before: str
    after: str
    preview: list[dict[str, Any]]
    """Objects that the preview said would change: op, kind, name, differs."""
    answered: int
    failed: list[str]
    fetched_bytes: int
    """Bytes that the hub sent."""
    readable_seconds: int
    """From the making of the engine's pod until its weights were there; Kubernetes tells whole seconds."""
    up_seconds: float
    hurt: list[str] = field(default_factory=list)
    """Blobs that lay on a volume before, and after it were gone or had another sha256 than their name says."""
    left: list[str] = field(default_factory=list)
    """Objects that either the cluster or Pulumi's state has, and not both."""
    disagreements: list[str] = field(default_factory=list)
    """Objects of which Pulumi's preview and the one without a cluster say different things."""


@dataclass(frozen=True, kw_only=True)
class Walk:
    """All steps, and the machine of the walk."""

    model: str
    weights_bytes: int
    clients: int
    kubernetes: str
    steps: list[Step]
    machine: str = field(default_factory=lambda: machine())
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d"))

    def record(self, folder: Path) -> None:
        """Write swap.json and swap.md, each as a whole."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("swap.json", json.dumps(asdict(self), indent=1) + "\n"), ("swap.md", rendered(self))):
            half = folder / f".{name}.half"
            half.write_text(text)
            half.replace(folder / name)


def tour(places: Sequence[str]) -> list[str]:
    """A closed walk that takes every ordered pair of `places` once: each way from the last place not yet gone."""
    left = {place: [other for other in places if other != place] for place in places}
    walk, path = [], [places[0]]
    while path:
        if left[path[-1]]:
            path.append(left[path[-1]].pop())
        else:
            walk.append(path.pop())
    return walk[::-1]


def machine() -> str:
    """Return the facts of the machine that affect the figures."""
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {gibibytes:.0f} GiB, {platform.system()} {platform.machine()}"


def readable_seconds(pod: Mapping[str, Any]) -> int:
    """Whole seconds from the making of a pod until the container that brings its weights was done.

    Where none does, they come with the engine's image, and are there when it starts.
    """
    status = pod["status"]
    brought = [c["state"]["terminated"]["finishedAt"] for c in status["initContainerStatuses"] if c["name"] == "fetch"]
    inside = [c["state"]["running"]["startedAt"] for c in status.get("containerStatuses", [])]
    return round(_time((brought or inside)[0]) - _time(pod["metadata"]["creationTimestamp"]))


def _time(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp()


def summary(changes: Iterable[Mapping[str, Any]]) -> str:
    """`~1 ±1 +2 -2`: how many objects, by what happens to them."""
    signs = Counter(SIGNS.get(change["op"], change["op"]) for change in changes)
    return " ".join(f"{sign}{signs[sign]}" for sign in ("~", "±", "+", "-") if signs[sign]) or "nothing"


def rendered(walk: Walk) -> str:
    """The page for people: of a walk through all pairs first the pairs, and of its previews those of the showpiece."""
    steps = {(step.before, step.after): step for step in walk.steps}
    places = list(dict.fromkeys(step.before for step in walk.steps))
    every = steps.keys() == set(permutations(places, 2))
    failed, hurt, left = (sum(len(getattr(step, what)) for step in walk.steps) for what in ("failed", "hurt", "left"))
    lines = [
        "# A swap, walked",
        "",
        f"Recorded by `{'FULL=1 ' if every else ''}RECORD=1 make e2e ONLY=swap` on {walk.date}: {walk.machine}, "
        f"Kubernetes {walk.kubernetes}, model `{walk.model}` ({_size(walk.weights_bytes)}), "
        f"{walk.clients} clients that stream without pause.",
        "",
        f"{len(walk.steps)} swaps, {sum(step.answered for step in walk.steps):,} streamed chats answered whole, "
        f"{failed} failed. Blobs on volumes that a swap lost or changed: {hurt}. Objects that after a swap the cluster "
        f"had and Pulumi's state had not, or the other way round: {left}.",
        *(["", *_matrix(places, steps)] if every else []),
    ]
    for step in (steps[pair] for pair in SHOWPIECE) if every else walk.steps:
        lines += ["", f"## {step.before} → {step.after}", "", "```diff"]
        lines += [f"{SIGNS[c['op']]} {c['kind']} {c['name']}{_paths(c)}" for c in step.preview if SIGNS.get(c["op"])]
        lines += ["```"]
    lines += ["", "## Each step, as walked", "", *_table(COLUMNS, map(_row, walk.steps)), "", *LEGEND]
    return "\n".join(lines) + "\n"


LEGEND = (
    "- **preview**: objects that `pulumi preview` said would change (~ in place, ± replaced, + new, - gone).",
    "- **answered**, **failed**: streamed chats that came whole during the step, and those that did not.",
    "- **fetched from the hub**: by whomever; on the way to `image-volume` and `prebuilt-image` by whoever publishes.",
    "- **weights readable**: from the making of the engine's pod until its weights were there, to the second. "
    "What a Job does before (fill a volume, pull an image) is part of the last column only.",
    "- **whole `make up`**: without publishing, which was done for the preview.",
)


def _matrix(places: Sequence[str], steps: Mapping[tuple[str, str], Step]) -> list[str]:
    """A row for each strategy that is left, a column for each that is reached."""

    def cell(before: str, after: str) -> str:
        if (step := steps.get((before, after))) is None:
            return ""
        failed = f", **{len(step.failed)} failed**" if step.failed else ""
        return f"{step.up_seconds:.0f} s, {_size(step.fetched_bytes)}{failed}"

    head = ("from, to", *places)
    rows = [(f"**{before}**", *(cell(before, after) for after in places)) for before in places]
    lead = "Seconds of the whole `make up`, and what was fetched from the hub:"
    return [lead, "", *_table(head, rows)]


def _row(step: Step) -> tuple[str, ...]:
    return (
        f"{step.before} → {step.after}",
        summary(step.preview),
        f"{step.answered}",
        f"{len(step.failed)}",
        _size(step.fetched_bytes),
        f"{step.readable_seconds} s",
        f"{step.up_seconds:.0f} s",
    )


def _paths(change: Mapping[str, Any]) -> str:
    """Return the paths that differ, without every item of a list: `containers.volumeMounts, volumes`."""
    if change["op"] != "update":
        return ""
    lists = (re.sub(r"\[\d+\](\.[^\[\]]*)?$", "", path) for path in change["differs"])
    short = {re.sub(r"\[\d+\]", "", path).replace("spec.template.", "").replace("spec.", "") for path in lists}
    return f"   {', '.join(sorted(short))}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return [lines[0], f"|---|{'--:|' * (lines[0].count('|') - 2)}", *lines[1:]]


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB" if count >= 2**20 / 10 else f"{count:,} B"


class Stopwatch:
    """A stopwatch: seconds since its creation."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def seconds(self) -> float:
        return round(time.monotonic() - self._began, 1)
