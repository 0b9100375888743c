"""The gateways of two commits side by side: the same bytes from clients, the same bytes back and on to the engine.

Both run as processes, each before an engine of its own on loopback, and get the same connections at the same time.
Ids of requests, times, and where chunks of a body are cut are no difference. What differs in a crowd is tried again
alone, and made as short as it differs; a difference that does not repeat is one of timing, and is only counted.
"""

import asyncio
import concurrent.futures
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from tests.rails.clients import BLOCK, Writes, connections
from tests.rails.differences import Difference, differences
from tests.rails.sides import CONFIGS, Side, metric_names, running
from tests.rails.trees import Tree

_CUTS = (re.compile(rb"(?=(?:POST|GET|HEAD|OPTIONS|DELETE) /)"), re.compile(rb"(?<=\r\n)"))
"""Cuts that make an input shorter: into requests, then into lines."""
_SHRINKING = 30.0
"""Time limit, in seconds, to shorten one input."""
_TOGETHER = 10
"""Blocks that one pair of gateways receives before a comparison."""
_SHOWN = 5
"""Differences of a block that are tried alone and shortened; more of them are mostly of one cause."""


@dataclass(frozen=True)
class Unlike:
    """A connection that the two gateways treat differently."""

    config: str
    sent: Writes
    before: object
    after: object

    def __str__(self) -> str:
        """Return the input and both outcomes, each on a line."""
        sent = "\n    ".join(map(repr, self.sent))
        return f"{self.config}: sent\n    {sent}\n  before {self.before!r}\n  after  {self.after!r}"


class Pair:
    """Two gateways under the same configuration."""

    def __init__(self, config: str, before: Side, after: Side) -> None:
        self._config = config
        self._sides = (before, after)
        self.unrepeated = 0
        """Differences in a crowd that were none alone."""

    async def differences(self, connections: Sequence[Writes]) -> list[Unlike]:
        """Send the same to both; return the differences, each with its shortened input."""
        found = list[Unlike]()
        for number, writes in enumerate(first := await self._suspects(connections)):
            if len(found) == _SHOWN:
                found.append(
                    Unlike(self._config, (), f"and {len(first) - number} more", "that may be of the same cause")
                )
                break
            if (alone := await self._alone(writes)) is None:
                self.unrepeated += 1
            else:
                found.append(await self._shortened(alone))
        return found

    async def _suspects(self, connections: Sequence[Writes]) -> list[Writes]:
        """Return the connections that may differ. Which one an engine's request was of is found by halving."""
        (was, asked_before), (now, asked_after) = await self._both(connections)
        if len(connections) == 1:
            return list(connections) if (was, asked_before) != (now, asked_after) else []
        found = [writes for writes, one, other in zip(connections, was, now, strict=True) if one != other]
        if 1 < len(found) < len(connections):  # a machine that stood still for a moment does so once
            return await self._suspects(found)
        if not found and asked_before != asked_after:
            half = len(connections) // 2
            found = [*await self._suspects(connections[:half]), *await self._suspects(connections[half:])]
            if not found:
                self.unrepeated += 1
        return found

    async def _both(self, connections: Sequence[Writes]) -> list[tuple[list[bytes], Counter[bytes]]]:
        for side in self._sides:
            side.engine.taken()
        answers = await asyncio.gather(*(side.answers(connections) for side in self._sides))
        return [(answer, side.engine.taken()) for answer, side in zip(answers, self._sides, strict=True)]

    async def _alone(self, writes: Writes) -> Unlike | None:
        """Return the difference, if it is there twice."""
        for _ in range(2):
            (was, asked_before), (now, asked_after) = await self._both([writes])
            if was == now and asked_before == asked_after:
                return None
        if asked_before != asked_after:  # most likely why the answers differ, if they do
            return Unlike(self._config, writes, sorted(asked_before.elements()), sorted(asked_after.elements()))
        return Unlike(self._config, writes, was[0], now[0])

    async def _shortened(self, found: Unlike) -> Unlike:
        """Shorten the input as long as a difference remains.

        Many inputs are tried at once, so that is for what clients see: whose request came to the engine is not known.
        """
        until = time.monotonic() + _SHRINKING
        cuts = list(_CUTS)
        while cuts and isinstance(found.before, bytes) and time.monotonic() < until:
            shorter = list(_without(found.sent, cuts[0]))
            (was, _), (now, _) = await self._both(shorter)
            differing = (writes for writes, one, other in zip(shorter, was, now, strict=True) if one != other)
            first = next(differing, None)
            if first is None or (alone := await self._alone(first)) is None:
                cuts.pop(0)
            else:
                found = alone
        return found


def _without(writes: Writes, cut: re.Pattern[bytes]) -> Iterator[Writes]:
    """Yield the writes with one part less, for every part."""
    for number, text in enumerate(writes):
        parts = cut.split(text)
        for at in range(len(parts)):
            shorter = b"".join(parts[:at] + parts[at + 1 :])
            rest = (*writes[:number], *([shorter] if shorter else []), *writes[number + 1 :])
            if rest and rest != writes:
                yield rest


@dataclass
class Report:
    """The result of one run."""

    sent: int = 0
    unrepeated: int = 0
    differences: list[Unlike | Difference] = field(default_factory=list)


def fuzz(before: Tree, after: Tree, runs: int, seed: str, folder: Path) -> Iterator[Difference | Unlike]:
    """Send so many connections to both gateways, as many before each kind of engine. Raises RailError."""
    rounds = -(-runs // (BLOCK * len(CONFIGS)))
    jobs = [(kind, range(at, min(at + _TOGETHER, rounds))) for at in range(0, rounds, _TOGETHER) for kind in CONFIGS]
    began, sent, unrepeated = time.monotonic(), 0, 0
    with concurrent.futures.ProcessPoolExecutor(max(1, len(os.sched_getaffinity(0)) // 2)) as pool:
        for report in pool.map(_job, *zip(*((before, after, *job, seed, folder) for job in jobs), strict=True)):
            sent, unrepeated = sent + report.sent, unrepeated + report.unrepeated
            rate = sent / (time.monotonic() - began)
            left = f", {(runs - sent) / rate:.0f} s left" if sent < runs else ""
            timing = f", {unrepeated} of timing alone" if unrepeated else ""
            print(f"  requests  {sent:>10,} connections, {rate:,.0f}/s{timing}{left}", flush=True)
            yield from report.differences


def _job(before: Tree, after: Tree, kind: str, blocks: range, seed: str, folder: Path) -> Report:
    return uvloop.run(compare(before, after, kind, seed, blocks, folder / f"{kind}-{blocks.start}"))


async def compare(before: Tree, after: Tree, kind: str, seed: str, blocks: Iterable[int], folder: Path) -> Report:
    """Send the connections of these blocks to both gateways, before an engine of that kind. Raises RailError."""
    async with running(before, kind, folder / "before") as one, running(after, kind, folder / "after") as other:
        pair, report = Pair(kind, one, other), Report()
        sent = [writes for block in blocks for writes in connections(seed, block)]
        report.differences += await pair.differences(sent)
        report.sent = len(sent)
        names = [await metric_names(side) for side in (one, other)]
        report.differences += differences(names[0], names[1], f"metrics before {kind}: ")
        report.unrepeated = pair.unrepeated
        return report
