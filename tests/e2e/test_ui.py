"""The page at /ui in a real browser, before the deployed stack."""

import json
import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from .browser import Browser, browser
from .conftest import ROOT, Platform

pytestmark = pytest.mark.timeout(900)

TOKEN = "let-me-look-0123456789"
ROW = "#models tr:nth-child({})"
PICTURES = ROOT / "docs"


@pytest.fixture(scope="module")
def deployed(platform: Platform) -> Iterator[Platform]:
    """Two models, a rule, and a token of the team's own."""
    file = Path(os.environ["LARDER_STACKS"], "Pulumi.dev.yaml")
    before = file.read_text()
    secret = ["-n", "ai", "create", "secret", "generic", "team-token", f"--from-literal=token={TOKEN}"]
    platform.kubectl(*secret)
    text = re.sub(r"(?m)^  larder:models: .*$", "  larder:models: [tiny-random, tiny-second]", before, count=1)
    rules = "[{name: code, pattern: '(?i)function', model: tiny-second}]"
    block = f"{{routing: {{rules: {rules}}}, residency: {{max-models: 1}}, auth: {{secret: team-token}}}}"
    file.write_text(f"{text.rstrip()}\n  larder:gateway: {block}\n")
    try:
        platform.make("up")
        yield platform
    finally:
        file.write_text(before)
        platform.make("up")
        platform.kubectl("-n", "ai", "delete", "secret", "team-token")


@pytest.fixture(scope="module")
def page(deployed: Platform) -> Iterator[Browser]:
    with browser() as window:
        window.open(f"{deployed.url}/ui")
        yield window


def test_it_says_why_a_question_goes_where(page: Browser) -> None:
    page.write("#text", "Write a function that sorts names")
    page.click("#route button")
    page.until("#answer", "tiny-second on engine: rule 'code' holds.")
    page.until("#answer", "It is cold: the request would wait")


def test_without_the_token_it_changes_nothing(page: Browser) -> None:
    page.click(f"{ROW.format(2)} [data-word=preload]")
    page.until("#done", "a token is required")
    page.until(f"{ROW.format(2)} .state", "cold")


def test_models_are_loaded_pinned_and_unloaded(page: Browser) -> None:
    page.write("#token", TOKEN)
    page.click(f"{ROW.format(2)} [data-word=preload]")
    page.until("#done", "tiny-second: loaded")
    page.until(f"{ROW.format(2)} .state", "loaded")
    page.click(f"{ROW.format(1)} [data-word=preload]")  # one place: the other one has to go
    page.until(f"{ROW.format(1)} .state", "loaded")
    page.until(f"{ROW.format(2)} .state", "cold")
    page.click(f"{ROW.format(1)} [data-word=pin]")
    page.until("#done", "cannot be pinned beside the others")


def test_it_shows_what_clients_met(page: Browser, deployed: Platform) -> None:
    for text in ("What is a function?", "hello", "hello"):
        body = {"model": "auto", "max_tokens": 4, "messages": [{"role": "user", "content": text}]}
        request = urllib.request.Request(
            f"{deployed.url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
    page.until("#rules", "code\n1")
    page.until("#rules", "default\n2")
    page.until("#summary", "Residency\nram")
    if os.environ.get("RECORD"):
        page.screenshot(PICTURES / "ui.png")


def test_the_console_has_nothing_to_say(page: Browser) -> None:
    refusals = [line for line in page.complaints() if "401" not in line and "409" not in line]
    assert refusals == []
