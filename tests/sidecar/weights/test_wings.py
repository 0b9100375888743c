"""The wings of weights import each other one way, and only those that their docstrings name."""

import ast
import re
from pathlib import Path

import larder_sidecar.weights
import pytest

from tests.source_code import READS_CODE, nodes

pytestmark = READS_CODE
WEIGHTS = Path(larder_sidecar.weights.__path__[0])
GROUND = "the ground"
"""The modules beside the wings, which every wing may import."""
MODULES = sorted(WEIGHTS.rglob("*.py"))


def _wing(path: Path) -> str:
    parts = path.relative_to(WEIGHTS).parts
    return parts[0] if len(parts) > 1 else GROUND


WINGS = sorted({_wing(path) for path in MODULES} - {GROUND})


def _imported(path: Path) -> set[str]:
    """The wings that a module imports from, its own not among them."""
    package = ("weights", *path.relative_to(WEIGHTS).parts[:-1])
    found = set()
    for node in nodes(path):
        if not isinstance(node, ast.ImportFrom) or not 1 <= node.level <= len(package):
            continue
        target = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
        names = target[1:2] if node.module or len(target) > 2 else [alias.name for alias in node.names]
        found |= {name if name in WINGS else GROUND for name in names if name}
    return found - {_wing(path)}


def _declared(wing: str) -> set[str]:
    """Read the last line of a wing's docstring."""
    documentation = ast.get_docstring(ast.parse((WEIGHTS / wing / "__init__.py").read_text())) or ""
    names = set(documentation.rpartition("Imports of other wings: ")[2].rstrip(".").split(", "))
    return names - {"nothing"}


def test_a_wing_imports_the_wings_that_its_docstring_names() -> None:
    graph: dict[str, set[str]] = {wing: set() for wing in (GROUND, *WINGS)}
    for path in MODULES:
        graph[_wing(path)] |= _imported(path)
    assert graph.pop(GROUND) == set()
    assert {wing: targets - {GROUND} for wing, targets in graph.items()} == {wing: _declared(wing) for wing in WINGS}


def test_the_page_on_the_architecture_has_the_wings_and_their_imports() -> None:
    page = (Path(__file__).parents[3] / "docs/architecture.md").read_text().partition("\n## Weights\n")[2]
    rows = re.findall(r"^\| `(\w+)` \|.*\| ?([^|]*) \|$", page.partition("\n## ")[0], re.MULTILINE)
    assert {wing: set(re.findall(r"\w+", names)) for wing, names in rows} == {wing: _declared(wing) for wing in WINGS}


@pytest.mark.parametrize("wing", WINGS)
def test_no_wing_imports_itself_by_way_of_others(wing: str) -> None:
    reached, waiting = set[str](), [wing]
    while waiting:
        further = _declared(waiting.pop()) - reached
        reached |= further
        waiting.extend(further)
    assert wing not in reached
