"""The rule of CONTRIBUTING.md that a program can check: how a docstring begins."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import ROOT
from tests.source_code import READS_CODE, nodes

pytestmark = READS_CODE

FORBIDDEN = frozenset(("What", "Whose", "Of", "Whether", "That", "Where", "Who", "How", "Whoever", "Whatever", "Upon"))
ROOMS = ("__main__.py", "bench", "components", "dev", "manifests", "policies", "preview", "sidecar", "testbed", "tests")


def docstrings(file: Path) -> Iterator[tuple[int, str]]:
    """Yield every docstring of a module with its line: of the module, its classes, functions, and values."""
    for node in nodes(file):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


@pytest.mark.parametrize("room", ROOMS)
def test_a_docstring_begins_with_a_verb_or_names_the_thing(room: str) -> None:
    path = ROOT / room
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    assert files
    found = [
        f"{file.relative_to(ROOT)}:{line}: {text.strip().splitlines()[0]}"
        for file in files
        for line, text in docstrings(file)
        if text.strip() and text.split(maxsplit=1)[0] in FORBIDDEN
    ]
    assert found == []
