"""The page about failures says the words that the end-to-end suite looks for."""

import pytest

from components import ROOT
from tests.e2e.wrong import cases

PAGE = (ROOT / "docs/when-it-fails.md").read_text()
CASES = cases(arm64="", cut="")


@pytest.mark.parametrize("wrong", CASES)
def test_each_failure_has_a_line_with_its_words(wrong: str) -> None:
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {wrong} |"))
    case = CASES[wrong]
    assert [words for words in (*case.says, *case.events) if words not in line] == []
