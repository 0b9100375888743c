"""docs/benchmarks.md is docs/benchmarks.json for people."""

import json

from bench.__main__ import JSON, PAGE, page


def test_the_page_shows_the_figures_that_tools_read() -> None:
    assert PAGE.read_text() == page(json.loads(JSON.read_text()))
