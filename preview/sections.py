"""Optional sections of `make plan`: a verdict for every strategy, and the effects of a swap."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from components import ROOT
from components.plan.needs import list_needs
from components.plan.plan import make_plan
from components.plan.support import Verdict, support, try_strategy
from components.settings import Problem, Settings, SettingsError, parse
from components.settings.former import understood
from components.settings.read import read_catalog
from components.settings.strategies import STRATEGIES

from .changes import changes
from .document import PlanDocument, document
from .program import record
from .swap import refusals, swap

_WIDTH = 16
"""Characters of a column."""


def more(
    config: Mapping[str, Any],
    settings: Settings,
    planned: PlanDocument,
    *,
    secret_keys: frozenset[str],
    before: Path | None,
    why: bool,
) -> tuple[dict[str, list[str]], PlanDocument]:
    """Return the sections by their titles, and the plan with the verdicts. Raise SettingsError."""
    sections: dict[str, list[str]] = {}
    if before:
        deployed = _deployed(before, planned.stack)
        sections["Swap"] = swap(deployed, planned) or [
            "the strategy stays as it is",
            *refusals(changes(deployed.resources, planned.resources)),
        ]
    if why:
        verdicts = list(_with_swaps(config, settings, planned, secret_keys))
        planned = planned.model_copy(update={"support": verdicts})
        sections["Needs of the strategy"] = [f"{need.what}\n    else: {need.checked}" for need in list_needs(settings)]
        sections["Strategies"] = matrix(verdicts)
    return sections, planned


def _deployed(file: Path, stack: str) -> PlanDocument:
    """Return the plan in `file`. Raise SettingsError if it is of another stack, or of refused settings."""
    plan = PlanDocument.read(file)
    if plan.stack != stack:
        msg = f"is a plan of stack {plan.stack}. Fix: name a plan of stack {stack}."
        raise SettingsError([Problem(str(file), msg)])
    if plan.problems:
        msg = "is a plan of refused settings, which was never deployed. Fix: name an earlier plan."
        raise SettingsError([Problem(str(file), msg)])
    return plan


def _with_swaps(
    config: Mapping[str, Any], settings: Settings, planned: PlanDocument, secret_keys: frozenset[str]
) -> Iterator[Verdict]:
    catalog = read_catalog(ROOT)
    config = understood(config, catalog).raw  # a former name can name a strategy too, which `try_strategy` replaces
    read = partial(parse, stack=planned.stack, catalog=catalog, encrypted=secret_keys)
    swaps: dict[str, list[str]] = {}
    for verdict in support(config, settings, read):
        if verdict.status in ("works", "warns") and verdict.strategy not in swaps:
            attempt = try_strategy(config, settings, verdict.strategy)
            found = read(attempt)
            recording = record(attempt, stack=planned.stack, secret_keys=secret_keys)
            after = document(planned.stack, found, make_plan(found), recording, [])
            swaps[verdict.strategy] = swap(planned, after)[1:]  # the first line names the swap
        yield verdict.model_copy(update={"swap": swaps.get(verdict.strategy, [])})


def matrix(verdicts: Iterable[Verdict]) -> list[str]:
    """Return a table of strategies and stacks, followed by the reasons and changes of each."""
    by_strategy: dict[str, dict[str, Verdict]] = {strategy: {} for strategy in STRATEGIES}
    for verdict in verdicts:
        by_strategy[verdict.strategy][verdict.stack] = verdict
    stacks = list(dict.fromkeys(stack for row in by_strategy.values() for stack in row))
    lines = ["".join(f"{cell:<{_WIDTH}}" for cell in ("", *stacks)).rstrip()]
    for strategy, row in by_strategy.items():
        lines.append("".join(f"{cell:<{_WIDTH}}" for cell in (strategy, *(v.status for v in row.values()))).rstrip())
    for strategy, row in by_strategy.items():
        details = dict.fromkeys(line for verdict in row.values() for line in _details(verdict))
        if details:
            lines += ["", strategy, *(f"  {line}" for line in details)]
    return lines


def _details(verdict: Verdict) -> Iterator[str]:
    word = "refused" if verdict.status == "refused" else "warning"
    yield from (f"{word}  {reason}" for reason in verdict.reasons)
    yield from (f"change   {line}" for line in verdict.change)
    yield from verdict.swap
