"""The number of examples of a property or a long table: few in `make test`, all with `EXAMPLES=all`, as in CI."""

import os
from collections.abc import Iterable
from typing import TypeVar

from hypothesis import settings

T = TypeVar("T")
ALL = os.environ.get("EXAMPLES") == "all"
FEW = 40


def up_to(count: int) -> settings:
    """Settings of a property that needs `count` examples to be sure of."""
    return settings(max_examples=count if ALL else min(count, FEW))


def some_of(cases: Iterable[T]) -> list[T]:
    """Return every second case of a table that costs seconds."""
    return [*cases] if ALL else [*cases][::2]
