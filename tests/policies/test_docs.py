"""docs/policies.md matches the rules."""

from components import ROOT
from policies.rules import RULES


def test_the_table_matches_the_rules() -> None:
    rows = [f"| `{rule.name}` | {rule.level.value} | {rule.refuses} | {rule.why} |" for rule in RULES]
    written = (ROOT / "docs" / "policies.md").read_text().splitlines()
    assert [line for line in written if line.startswith("| `")] == rows, "\n".join(rows)
