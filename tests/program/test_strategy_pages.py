"""docs/strategies/: one page per strategy, with a valid block and the needs that `make plan` prints."""

import json
import re

import pytest
import yaml

from components import ROOT
from components.settings import parse
from components.settings.sources import merged
from components.settings.strategies import STRATEGIES
from preview.program import stack_config
from tests.program.previews import CATALOG, IMAGES

SECTIONS = ["The block", "What it needs", "A swap", "Traps", "Measured"]
WORDS = {"{sources}": "the models' sources", "{copy}": "1.1 x the weights + 256 MiB"}
each = pytest.mark.parametrize("strategy", STRATEGIES)


def _page(strategy: str) -> str:
    return (ROOT / STRATEGIES[strategy].page()).read_text()


def _blocks(strategy: str) -> list[dict[str, object]]:
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", _page(strategy), re.DOTALL)]


@each
def test_a_page_has_the_sections_for_operators(strategy: str) -> None:
    page = _page(strategy)
    assert "**Choose this when**" in page
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert [heading for heading in headings if heading in SECTIONS] == SECTIONS


@each
def test_its_blocks_can_be_copied(strategy: str) -> None:
    blocks = _blocks(strategy)
    assert blocks
    for block in blocks:
        stack = {"larder:images": IMAGES, "larder:cache": {"node-local": None}}
        other = {"larder:ollama": None} if "larder:kserve" in block else {}
        config = merged(merged(merged(stack_config("dev"), stack), other), block)
        assert parse(config, stack="dev", catalog=CATALOG).cache.strategy == strategy


@each
def test_the_needs_agree_with_make_plan(strategy: str) -> None:
    def said(text: str) -> str:
        for word, plain in WORDS.items():
            text = text.replace(word, plain)
        return text

    rows = [f"| {said(need.what)} | {need.checked} |" for need in STRATEGIES[strategy].NEEDS]
    table = _page(strategy).partition("## What it needs\n")[2].partition("\n## ")[0]
    assert [line for line in table.splitlines() if line.startswith("| ") and "---" not in line][1:] == rows


@each
def test_its_figures_are_those_of_the_benchmarks(strategy: str) -> None:
    figures = json.loads((ROOT / "docs" / "benchmarks.json").read_text())
    wanted = [
        [f"strategy.{strategy}.{start}_{what}_s_{size}gib" for what in ("ready", "load") for size in (1, 4)]
        for start in ("cold", "warm")
    ]
    if not STRATEGIES[strategy].MOUNTED:  # nothing here runs KServe's agent
        assert not set(wanted[0]) & figures.keys()
        return
    measured = _page(strategy).partition("## Measured\n")[2]
    rows = [row.split(" | ")[1:] for row in measured.splitlines() if row.startswith(("| cold", "| warm"))]
    assert rows == [
        [*(f"{figures[name]:.2f} s" for name in names[:-1]), f"{figures[names[-1]]:.2f} s |"] for names in wanted
    ]


@each
def test_the_documentation_links_to_the_page(strategy: str) -> None:
    assert f"strategies/{strategy}.md" in (ROOT / "docs" / "settings.md").read_text()
    assert f"docs/strategies/{strategy}.md" in (ROOT / "README.md").read_text()
