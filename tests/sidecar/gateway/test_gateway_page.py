"""The page at /ui, as bytes; tests/e2e/test_ui.py has it in a browser."""

import re

import pytest
from larder_sidecar.gateway.pages import FILES
from larder_sidecar.gateway.serve import Running

from tests.sidecar.gateway.scripted import ask


@pytest.mark.parametrize("path", FILES)
async def test_every_file_is_served_and_may_load_nothing_from_elsewhere(gateway: Running, path: str) -> None:
    answer = await ask(gateway.port, path, method="GET")
    assert answer.status == 200
    assert answer["content-type"] == FILES[path][1].decode()
    policy = answer["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer["x-content-type-options"] == "nosniff"
    assert not re.search(rb"https?://", answer.body)


async def test_text_never_becomes_markup(gateway: Running) -> None:
    script = (await ask(gateway.port, "/ui/page.js", method="GET")).body
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script)


async def test_nothing_else_is_served_below_it(gateway: Running) -> None:
    for path in ("/ui/", "/ui/__init__.py", "/ui/../pages.py", "/ui/page.html"):
        assert (await ask(gateway.port, path, method="GET")).status == 404
