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
    """Changed objects according to the preview: op, kind, name, differs."""
    answered: int
    failed: list[str]
    fetched_bytes: int
    """Bytes that the hub sent."""
    readable_seconds: int
    """Time from the creation of the engine's pod until its weights are readable; Kubernetes gives whole seconds."""
    up_seconds: float
    hurt: list[str] = field(default_factory=list)
    """Blobs on a volume that were missing after the step, or whose sha256 differed from their name."""
    left: list[str] = field(default_factory=list)
    """Objects that only the cluster or only Pulumi's state has."""
    disagreements: list[str] = field(default_factory=list)
    """Objects for which Pulumi's preview and the preview without a cluster differ."""


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
    """Return a closed walk that takes every ordered pair of `places` once (Hierholzer's algorithm)."""
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
    """Return the whole seconds from the creation of a pod until the container that fetches its weights ended.

    If the pod has no such container, the engine's image holds the weights, which are readable when the engine starts.
    """
    status = pod["status"]
    brought = [c["state"]["terminated"]["finishedAt"] for c in status["initContainerStatuses"] if c["name"] == "fetch"]
    inside = [c["state"]["running"]["startedAt"] for c in status.get("containerStatuses", [])]
    return round(_time((brought or inside)[0]) - _time(pod["metadata"]["creationTimestamp"]))


def _time(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp()


def summary(changes: Iterable[Mapping[str, Any]]) -> str:
    """Return the numbers of objects by operation, as in `~1 ±1 +2 -2`."""
    signs = Counter(SIGNS.get(change["op"], change["op"]) for change in changes)
    return " ".join(f"{sign}{signs[sign]}" for sign in ("~", "±", "+", "-") if signs[sign]) or "nothing"


def rendered(walk: Walk) -> str:
    """Return the page. A walk through all pairs begins with their table, and shows the previews of SHOWPIECE alone."""
    steps = {(step.before, step.after): step for step in walk.steps}
    places = list(dict.fromkeys(step.before for step in walk.steps))
    every = steps.keys() == set(permutations(places, 2))
    failed, hurt, left = (sum(len(getattr(step, what)) for step in walk.steps) for what in ("failed", "hurt", "left"))
    lines = [
        "# Swaps between strategies, recorded",
        "",
        f"Recorded by `{'FULL=1 ' if every else ''}RECORD=1 make e2e ONLY=swap` on {walk.date}: {walk.machine}, "
        f"Kubernetes {walk.kubernetes}, model `{walk.model}` ({_size(walk.weights_bytes)}), "
        f"{walk.clients} clients that stream without pause.",
        "",
        f"{len(walk.steps)} swaps, {sum(step.answered for step in walk.steps):,} streamed chats answered completely, "
        f"{failed} failed. Blobs on volumes that a swap lost or changed: {hurt}. Objects that only the cluster or only "
        f"Pulumi's state had after a swap: {left}.",
        *(["", *_matrix(places, steps)] if every else []),
    ]
    for step in (steps[pair] for pair in SHOWPIECE) if every else walk.steps:
        lines += ["", f"## {step.before} → {step.after}", "", "```diff"]
        lines += [f"{SIGNS[c['op']]} {c['kind']} {c['name']}{_paths(c)}" for c in step.preview if SIGNS.get(c["op"])]
        lines += ["```"]
    lines += ["", "## All swaps in order", "", *_table(COLUMNS, map(_row, walk.steps)), "", *LEGEND]
    return "\n".join(lines) + "\n"


LEGEND = (
    "- **preview**: changed objects according to `pulumi preview` (~ in place, ± replaced, + created, - deleted).",
    "- **answered**, **failed**: streamed chats that were complete during the swap, and those that were not.",
    "- **fetched from the hub**: by pods and Jobs; in swaps to `image-volume` and `prebuilt-image`, by `publish`.",
    "- **weights readable**: from the creation of the engine's pod until its weights were readable, in whole seconds. "
    "Earlier work of a Job (filling a volume, pulling an image) is part of the last column only.",
    "- **whole `make up`**: without `publish`, which ran for the preview.",
)


def _matrix(places: Sequence[str], steps: Mapping[tuple[str, str], Step]) -> list[str]:
    """Return a table: a row for each strategy before a swap, a column for each one after it."""

    def cell(before: str, after: str) -> str:
        if (step := steps.get((before, after))) is None:
            return ""
        failed = f", **{len(step.failed)} failed**" if step.failed else ""
        return f"{step.up_seconds:.0f} s, {_size(step.fetched_bytes)}{failed}"

    head = ("from, to", *places)
    rows = [(f"**{before}**", *(cell(before, after) for after in places)) for before in places]
    lead = "Seconds of the whole `make up`, and bytes fetched from the hub:"
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
