"""A fuzz target: a parser of outside input, with its invariant."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.fuzz.mutation import mutated

BLOCK = 1000
"""Inputs that one number of the generator stands for."""


@dataclass(frozen=True)
class Target:
    """A parser to fuzz. `check` raises for a fault: an unintended exception, or two readings that differ."""

    name: str
    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    tokens: Sequence[bytes] = ()
    longest: int = 4096
    """Bytes of an input: long ones find what short ones do, and take their time."""

    def inputs(self, seed: str, block: int) -> Iterator[bytes]:
        """Yield the inputs of a block, always the same; the first block begins with the seeds."""
        if not block:
            yield from self.seeds
        chance = random.Random(f"{seed}/{self.name}/{block}")
        for _ in range(BLOCK - (0 if block else len(self.seeds))):
            yield mutated(chance, self.seeds, self.tokens)[: self.longest]


def cuts(text: bytes) -> list[bytes]:
    """Return the text in pieces whose lengths come from its own bytes, so that an input alone determines its run."""
    chance = random.Random(text)
    places = sorted(chance.randrange(len(text) + 1) for _ in range(chance.randrange(6)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


def rounds(times: int) -> int:
    """Return the number of full blocks for that many inputs."""
    return -(-times // BLOCK)
