"""The number of examples of a property: few in `make test`, all with `EXAMPLES=all`, as in CI."""

import os

from hypothesis import settings

ALL = os.environ.get("EXAMPLES") == "all"
FEW = 40


def up_to(count: int) -> settings:
    """Settings of a property that needs `count` examples to be sure of."""
    return settings(max_examples=count if ALL else min(count, FEW))
