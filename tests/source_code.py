"""The code of this repository as syntax trees, for tests that hold it to rules."""

import ast
import functools
from pathlib import Path

import pytest

READS_CODE = pytest.mark.together("source code")
"""Mark of a module of tests that read the code: in one worker, each file is parsed once."""


@functools.cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """Return every node of a module, the module itself first."""
    return nodes_of(file.read_text())


def nodes_of(code: str) -> tuple[ast.AST, ...]:
    """Return every node of a text of Python."""
    return tuple(ast.walk(ast.parse(code)))
