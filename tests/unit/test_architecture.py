"""docs/architecture.md: the floors are those of the code, and the files of an addition are few and there."""

import re

import pytest

from components import ROOT
from tests.source_code import READS_CODE
from tests.unit.floors import FLOORS, graph

PAGE = (ROOT / "docs" / "architecture.md").read_text()
GROUND = 1
"""Number of the lowest floor on the page."""


def _section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows() -> list[str]:
    """Return the table of floors as the page has it, the highest first."""
    listed = enumerate(FLOORS, GROUND)
    return [f"| {number} | {', '.join(f'`{name}`' for name in names)} |" for number, names in reversed([*listed])]


def test_the_floors_are_those_of_the_code() -> None:
    table = [line for line in _section("Floors").splitlines() if re.match(r"\| \d", line)]
    assert table == rows(), "write these rows:\n" + "\n".join(rows())


@pytest.mark.parametrize(
    ("title", "most"), [("Add a strategy", 5), ("Add an engine", 6), ("Add a cloud", 4), ("Add an endpoint", 2)]
)
def test_an_addition_is_few_files_that_are_there(title: str, most: int) -> None:
    files = re.findall(r"^\d\. `([^`]+)`", _section(title), re.MULTILINE)
    assert 0 < len(files) <= most
    for file in files:
        path = ROOT / file
        assert path.parent.is_dir() if "<name>" in file else path.is_file(), file


@READS_CODE
def test_the_imports_are_those_of_the_code() -> None:
    assert graph() in _section("Imports as they are"), f"write this:\n{graph()}"
