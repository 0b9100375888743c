"""`make bench`: measure, and write the figures for people and for tools.

docs/benchmarks.json is a flat map from a stable name to a number, with `machine` and `date`; docs/benchmarks.md is the
same as a table. Suites that are not run keep their last figures.
"""

import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from . import fetch, gateway, plan, residency, strategies
from .processes import ROOT

SUITES = {"fetch": fetch, "gateway": gateway, "plan": plan, "residency": residency, "strategies": strategies}
JSON, PAGE = ROOT / "docs/benchmarks.json", ROOT / "docs/benchmarks.md"


def main() -> int:
    """Run the suites that ONLY names, or all. Return 2 if it names none."""
    only = os.environ.get("ONLY", "")
    if only and only not in SUITES:
        print(f"ONLY={only}: there is no such bench. Known: {', '.join(SUITES)}", file=sys.stderr)
        return 2
    figures = json.loads(JSON.read_text()) if JSON.exists() else {}
    for name in [only] if only else SUITES:
        print(f"measuring {name}", flush=True)
        found = {figure: float(f"{value:.3g}") for figure, value in SUITES[name].measure().items()}
        for figure, value in found.items():
            print(f"  {figure:<28} {value:g}")
        figures |= found
    figures |= {"machine": machine(), "date": datetime.now(UTC).date().isoformat()}
    JSON.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    PAGE.write_text(page(figures))
    return 0


def machine() -> str:
    """Return cores, memory and system, without the host's name."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"


def page(figures: Mapping[str, float | str]) -> str:
    """Return the table, and the method of each suite from the first lines of its docstring."""
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` on {figures['date']}; machine: {figures['machine']}. Run it on an idle machine: the",
        "figures are of that run, and nothing else should share its cores.",
    ]
    for name, suite in SUITES.items():
        if rows := suite.rows(figures) if suite is strategies else _rows(name, figures):
            lines += ["", f"## {name}", "", (suite.__doc__ or "").strip(), "", *rows]
    return "\n".join(lines) + "\n"


def _rows(suite: str, figures: Mapping[str, float | str]) -> list[str]:
    """Yield a line for each figure of a suite, with the figures of peers."""
    ours = {key.removeprefix(f"{suite}."): key for key in sorted(figures) if key.startswith(f"{suite}.")}
    theirs = {key for key in figures if key.startswith("peer.") and key.split(".", 2)[2] in ours}
    peers = sorted({key.split(".")[1] for key in theirs})
    if not ours:
        return []
    rows = [
        [f"`{key}`", f"{figures[key]:g}", *(_cell(figures.get(f"peer.{peer}.{word}")) for peer in peers)]
        for word, key in ours.items()
    ]
    return [f"| {' | '.join(row)} |" for row in (["figure", "value", *peers], ["---"] * (2 + len(peers)), *rows)]


def _cell(value: float | str | None) -> str:
    return "" if value is None else f"{value:g}"


if __name__ == "__main__":
    sys.exit(main())
