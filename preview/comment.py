"""The comment of a pull request: the differences between two plans, those for users of the platform first.

Anyone may propose the files that names and texts come from, so each of them is in a fenced block, where Markdown,
HTML and mentions have no effect.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from manifests.reading import overlaps

from .changes import Change, changes
from .document import PlanDocument
from .swap import swap

MARKER = "<!-- larder:pull-request -->"
"""First line of the comment, by which the next run finds it."""
MOST_BYTES = 65_536
"""The limit of a comment. GitHub counts characters, of which there are no more than bytes."""
_WIDTH = 240
"""Longest line, in characters; the rest is cut."""
_SIGNS = {"created": "+", "deleted": "-", "replaced": "!", "changed": "!", "refused": "!"}
"""Signs that a block of `diff` shows green, red and orange."""

Pair = tuple[PlanDocument | None, PlanDocument | None]
"""One stack's plan before and after; None on a side without the stack."""


def comment(pairs: Sequence[Pair]) -> str:
    """Return Markdown of at most MOST_BYTES: whole if it fits, else fewer lines of each block, then fewer stacks."""
    for most in (1000, 100, 20, 5):
        parts = [_stack(before, after, most) for before, after in pairs]
        text = _joined(parts)
        if len(text.encode()) <= MOST_BYTES:
            return text
    while True:
        parts.pop()
        text = _joined([*parts, f"{len(pairs) - len(parts)} more stacks: see the job's summary."])
        if len(text.encode()) <= MOST_BYTES:
            return text


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join([MARKER, *(parts or ["This pull request changes no stack."])]) + "\n"


def _stack(before: PlanDocument | None, after: PlanDocument | None, most: int) -> str:
    known = after or before
    # The heading is in no fence, so only characters of a valid stack name pass.
    title = f"### Stack `{re.sub(r'[^A-Za-z0-9._-]', '?', known.stack if known else '')[:100]}`"
    if after is None:
        return f"{title}\n\nThe stack file is gone. What it deployed stays until `pulumi destroy`."
    if after.problems:
        return f"{title}\n\nThe settings are refused:\n\n{_block(after.problems, most)}"
    old = before if before and not before.problems else None
    found = changes(old.resources if old else [], after.resources)
    new = {finding.line for finding in after.findings} - {finding.line for finding in (old.findings if old else [])}
    # The first line repeats the strategy, which the lines for users show.
    swapped = [f"! {line}" for line in swap(old, after)[1:]] if old else []
    effects = [*_users(old.users if old else {}, after.users), *(swapped or _rollouts(found))]
    notable = [line for line in effects if not line.startswith(" ")]
    parts = [title + ("" if old else " (new)" if before is None else " (was refused before)")]
    parts.append(f"**For users**\n\n{_block(effects, most)}" if notable else "**For users** nothing changes.")
    if found:
        counts = _counts(found, {resource.urn for resource in after.resources})
        parts.append(f"**Resources**: {counts}\n\n{_block(map(_line, found), most)}")
    else:
        parts.append(f"**Resources**: all {len(after.resources)} as before.")
    if after.findings:
        lines = [f"{'! new ' if f.line in new else '  '}{f.line}" for f in after.findings]
        parts.append(f"**Policies**: findings {len(lines)}, new {len(new)}\n\n{_block(lines, most)}")
    else:
        parts.append("**Policies**: all rules are kept.")
    return "\n\n".join(parts)


def _users(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    names = dict.fromkeys([*after, *before])
    width = min(24, max(map(len, names), default=0))
    for name in names:
        old, new = before.get(name), after.get(name)
        sides = [(" ", new)] if old == new else [("-", old), ("+", new)]
        yield from (f"{sign} {name:<{width}}  {text}" for sign, text in sides if text)


def _rollouts(found: Sequence[Change]) -> Iterator[str]:
    for change in found:
        if change.rolls:
            how = (
                "the next pod is ready before the last one drains; clients keep their streams"
                if overlaps(change.inputs)
                else "the last pod ends before the next one starts; clients wait or are refused"
            )
            yield f"! {change.title}: {how}"


def _line(change: Change) -> str:
    return f"{_SIGNS[change.what]} {change.what:<8}  {change.title:<44}  {change.reason}".rstrip()


def _counts(found: Sequence[Change], now: Set[str]) -> str:
    counts = [f"{n} {what}" for what in _SIGNS if (n := sum(change.what == what for change in found))]
    same = len(now) - sum(change.urn in now for change in found)
    return ", ".join([*counts, f"{same} as before"])


def _block(lines: Iterable[str], most: int) -> str:
    """Return a fenced block that nothing in it can end."""
    every = list(lines)
    shown = [_plain(line) for line in every[:most]]
    if len(every) > most:
        shown.append(f"  … and {len(every) - most} more")
    fence = "`" * max(3, 1 + max((len(run) for line in shown for run in re.findall("`+", line)), default=0))
    return "\n".join([f"{fence}diff", *shown, fence])


def _plain(line: str) -> str:
    """Return one line of limited length, without control characters and those that change the direction of reading."""
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line[: _WIDTH + 1])
    return plain if len(plain) <= _WIDTH else plain[: _WIDTH - 1] + "…"
