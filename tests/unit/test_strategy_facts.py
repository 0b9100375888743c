"""A strategy's facts stand in its class: nobody else tells strategies apart by their words."""

import ast
from collections.abc import Collection, Iterator

import pytest

from components.settings.no_cache import NoCacheSettings
from components.settings.strategies import STRATEGIES
from tests.source_code import READS_CODE, nodes, nodes_of
from tests.unit.floors import modules
from tests.unit.words import compared

pytestmark = READS_CODE
PLAIN = NoCacheSettings.NAME
"""A word of other settings too: it counts where a strategy is spoken of."""


def told_apart(nodes: Collection[ast.AST]) -> Iterator[str]:
    """Yield the comparisons of a module that have the word of a strategy on one side."""
    yield from compared(nodes, STRATEGIES.keys() - {PLAIN})
    yield from (text for text in compared(nodes, [PLAIN]) if "strategy" in text)


@pytest.mark.parametrize(
    "code",
    [
        "cache.strategy == 'node-local'",
        "strategy in ('image-volume', 'prebuilt-image')",
        "'none' != known.strategy",
        "match strategy:\n case 'kserve-cache':\n  pass",
    ],
)
def test_a_comparison_is_found(code: str) -> None:
    assert list(told_apart(nodes_of(code)))


def test_no_module_compares_a_strategy_with_a_word() -> None:
    found = [f"{name}: {text}" for name, file in modules() for text in told_apart(nodes(file))]
    assert found == []
