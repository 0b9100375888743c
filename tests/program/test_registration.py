"""Resources are registered where the program runs, never inside `apply`: a preview would not see them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import ROOT

SOURCES = [ROOT / "__main__.py", *sorted((ROOT / "components").rglob("*.py"))]


def _constructions_in_apply(source: str) -> Iterator[str]:
    """Calls that look like constructors inside what is given to `.apply(…)`, inline or by a name of the module."""
    module = ast.parse(source)
    functions = {node.name: node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)}
    for call in ast.walk(module):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "apply":
            for given in [*call.args, *(keyword.value for keyword in call.keywords)]:
                body = functions.get(given.id, given) if isinstance(given, ast.Name) else given
                yield from (name for node in ast.walk(body) if (name := _constructed(node)))


def _constructed(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    name = ast.unparse(node.func)
    # A class by its capital; what only wraps a value is none.
    return name if name.rpartition(".")[2][:1].isupper() and "Output" not in name else None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_registered_inside_apply(path: Path) -> None:
    assert list(_constructions_in_apply(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "x.apply(lambda v: k8s.core.v1.ConfigMap('a', data=v))",
        "def make(v):\n    return ConfigMap('a')\nx.apply(make)",
        "x.apply(func=lambda v: [Ollama(n) for n in v])",
    ],
)
def test_the_check_sees_what_it_forbids(source: str) -> None:
    assert list(_constructions_in_apply(source))
