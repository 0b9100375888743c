"""A strategy's facts stand in its class: nobody else tells strategies apart by their words."""

import ast
from collections.abc import Iterator

import pytest

from components.settings.no_cache import NoCacheSettings
from components.settings.strategies import STRATEGIES
from tests.unit.floors import modules

PLAIN = NoCacheSettings.NAME
"""A word of other settings too: it counts where a strategy is spoken of."""


def compared(code: str) -> Iterator[str]:
    """Yield the comparisons of a module that have the word of a strategy on one side."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Compare | ast.match_case):
            sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else [node.pattern]
            words = {one.value for side in sides for one in ast.walk(side) if isinstance(one, ast.Constant)}
            text = ast.unparse(node)
            if words & (STRATEGIES.keys() - {PLAIN}) or (PLAIN in words and "strategy" in text):
                yield text


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
    assert list(compared(code))


def test_no_module_compares_a_strategy_with_a_word() -> None:
    found = [f"{name}: {text}" for name, file in modules() for text in compared(file.read_text())]
    assert found == []
