"""docs/policies.md says what the rules say."""

from components import ROOT
from policies.rules import RULES


def test_the_table_is_that_of_the_rules() -> None:
    rows = [f"| `{rule.name}` | {rule.level.value} | {rule.refuses} | {rule.why} |" for rule in RULES]
    written = (ROOT / "docs" / "policies.md").read_text().splitlines()
    assert [line for line in written if line.startswith("| `")] == rows, "\n".join(rows)
