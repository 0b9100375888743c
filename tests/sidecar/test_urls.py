"""Every parser reads the URLs of settings and plans alike, and decisions about trust use the one that connects."""

import ast
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.config.gateway import Engine
from larder_sidecar.config.manager import ApiServer
from larder_sidecar.config.url import UrlError, authority
from larder_sidecar.config.weights import WeightsFile
from pydantic import ValidationError
from urllib3.util import parse_url

from tests.source_code import READS_CODE, nodes

ROOT = Path(__file__).parents[2]
READ_DIFFERENTLY = [
    *("thief.test\\@hub.test", "hub.test@thief.test", "hub.test:pass@thief.test", "@hub.test", "thief.test\\.hub.test"),
    *("hub%2etest", "hüb.test", "hub。test", "hub.test:0", "hub.test:65536", "hub.test:x", "hub.test:1:2"),
    *("[::1", "::1]", "[hub.test]", "[::1]x", "[::1%25lo]", "[fe80::1%eth0]", "hub.test;x", "hub,test", "hub'test"),
    *("hub\x7f.test", "hub\x00.test", "hub<test", "hub|test", "hub^test", "hub`test", "{hub}", "h" * 254),
]
PLAIN = [
    "hub.test",
    "HUB.test:8080",
    "hub_1.test.",
    "10.0.0.1:80",
    "[fd00::1]",
    "[fd00::1]:443",
    "127.1",
    "xn--hb-xka.test",
]
FILE = {"path": "a.gguf", "revision": "a" * 40, "bytes": 1, "sha256": "0" * 64}


def _is_taken(model: type[WeightsFile | Engine | ApiServer], **fields: object) -> bool:
    try:
        model.model_validate(fields)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(("place", "taken"), [*((it, True) for it in PLAIN), *((it, False) for it in READ_DIFFERENTLY)])
def test_a_url_of_the_configuration_has_one_reading(place: str, taken: bool) -> None:
    oci = f"oci://{place}/a@sha256:{'0' * 64}"
    assert _is_taken(WeightsFile, **{**FILE, "url": f"https://{place}/x"}) is taken
    assert _is_taken(WeightsFile, **{**FILE, "url": oci, "revision": None}) is taken
    assert _is_taken(Engine, kind="ollama", url=f"http://{place}") is taken
    assert _is_taken(ApiServer, url=f"https://{place}") is taken


@pytest.mark.parametrize("path", ["a\\b", "a\x7fb", "a\x01b"])
def test_a_path_that_could_be_read_as_a_host_is_refused(path: str) -> None:
    assert not _is_taken(WeightsFile, **{**FILE, "url": f"https://hub.test/{path}"})


@given(st.from_regex(r"[\x20-\x7eé\\@:%\[\]]{0,12}", fullmatch=True), st.sampled_from(["", "/", "/x@y", "?@x", "#@x"]))
def test_all_parsers_agree_on_what_is_taken(place: str, rest: str) -> None:
    url = f"https://{place}{rest}"
    try:
        taken = authority(url)
    except UrlError:
        return
    ours, theirs = parse_url(url), urlsplit(url)
    assert (taken.scheme, taken.host, taken.port) == (ours.scheme, (ours.host or "").strip("[]"), ours.port)
    assert taken == (theirs.scheme, theirs.hostname, theirs.port)


OTHER_PARSERS = {
    "components/plan/needs.py": "for display",
    "sidecar/larder_sidecar/gateway/replicas.py": "of an engine's URL, which `reachable` has held to one reading",
    "sidecar/larder_sidecar/http/pool.py": "of an engine's URL, which `reachable` has held to one reading",
    "sidecar/larder_sidecar/weights/download/hosts.py": "for limits of a host, not for trust",
}
"""Uses of another parser than the one that connects, and why nothing depends on it."""


@READS_CODE
def test_no_second_parser_decides() -> None:
    found = set()
    for folder in ("components", "manifests", "policies", "preview", "sidecar/larder_sidecar"):
        for path in (ROOT / folder).rglob("*.py"):
            names = {
                node.id if isinstance(node, ast.Name) else node.attr
                for node in nodes(path)
                if isinstance(node, ast.Name | ast.Attribute)
            }
            if names & {"urlsplit", "urlparse", "urljoin", "urldefrag", "is_private", "is_loopback", "proxy_bypass"}:
                found.add(path.relative_to(ROOT).as_posix())
    assert found - {"components/settings/hub.py"} == OTHER_PARSERS.keys()
