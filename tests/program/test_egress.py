"""Pods that fetch reach where the plan's URLs lead, by port or by address, and nothing else."""

from functools import partial
from typing import Any

import pulumi
import pytest
from larder_sidecar.catalog import CatalogEntry

from components.network import sources_egress
from components.plan.plan import make_plan
from components.platform import Platform, connect
from components.settings import Settings, parse
from components.settings.base import Catalog
from preview.program import record
from tests.program.previews import CATALOG, ON_A_SHORT_STACK, Preview, config_of

SHA256 = "0" * 64
DNS = {"ports": [{"port": port, "protocol": by} for port in (53, 5353) for by in ("UDP", "TCP")]}


def open_to(*ports: int, cidr: str | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"ports": [{"port": port, "protocol": "TCP"} for port in ports]}
    return rule if cidr is None else {**rule, "to": [{"ip_block": {"cidr": cidr}}]}


CASES: dict[str, tuple[list[str], list[dict[str, Any]]]] = {
    "a hub": (["https://hub.test/x"], [open_to(443)]),
    "a mirror without TLS may redirect to a CDN that has it": (["http://mirror.ai:8090/x"], [open_to(443, 8090)]),
    "a server on a port of its own": (["https://files.test:8443/x"], [open_to(443, 8443)]),
    "a registry on a port of its own": ([f"oci://harbor.test:5443/a@sha256:{SHA256}"], [open_to(443, 5443)]),
    "a registry": ([f"oci://harbor.test/a@sha256:{SHA256}"], [open_to(443)]),
    "a registry without TLS": ([f"oci+http://harbor.test/a@sha256:{SHA256}"], [open_to(80, 443)]),
    "an address alone opens no port to anybody else": (["http://10.0.0.1:8090/x"], [open_to(8090, cidr="10.0.0.1/32")]),
    "ports of one address": (
        ["https://10.0.0.1/x", f"oci://10.0.0.1:5000/a@sha256:{SHA256}"],
        [open_to(443, 5000, cidr="10.0.0.1/32")],
    ),
    "an address of the sixth version": (["http://[fd00::1]/x"], [open_to(80, cidr="fd00::1/128")]),
    "all together, each once": (
        ["https://hub.test/x", "https://hub.test/y", "https://b.test:8443/x", "http://10.0.0.1/x"],
        [open_to(443, 8443), open_to(80, cidr="10.0.0.1/32")],
    ),
}


@pytest.mark.parametrize(("urls", "rules"), CASES.values(), ids=CASES.keys())
def test_the_rules_follow_from_the_urls(urls: list[str], rules: list[dict[str, Any]]) -> None:
    assert sources_egress(urls) == [DNS, *rules]


def test_egress_is_empty_without_sources() -> None:
    assert sources_egress([]) == []


def _entry(source: dict[str, Any]) -> CatalogEntry:
    facts = CATALOG.entries["tiny-random"].model_dump(mode="json", by_alias=True, exclude_none=True)
    kinds = {"hub", "https", "oci"}
    return CatalogEntry.model_validate({key: value for key, value in facts.items() if key not in kinds} | source)


def _preview(entry: CatalogEntry, strategy: str) -> Preview:
    config = config_of("dev", strategy, {"larder:models": [entry.id]})
    settings = parse(config, stack="dev", catalog=Catalog({entry.id: entry}))
    program = partial(_program, settings)
    return Preview(ON_A_SHORT_STACK.submit(record, config, stack="dev", program=program).result())


def _program(settings: Settings) -> None:
    Platform("larder", settings, make_plan(settings), pulumi.ResourceOptions(providers=connect(settings)))


FILE = {"path": "tiny.gguf", "bytes": 1, "sha256": SHA256}
SOURCES: dict[str, tuple[dict[str, Any], int]] = {
    "https": ({"https": {"files": [FILE | {"url": "https://files.test:8443/tiny.gguf"}]}}, 8443),
    "oci": ({"oci": {"artifact": f"harbor.test:5443/a/b@sha256:{SHA256}", "files": [FILE]}}, 5443),
}


@pytest.mark.parametrize(("strategy", "name"), [("none", "larder-ollama"), ("node-local", "larder-populate")])
@pytest.mark.parametrize(("source", "port"), SOURCES.values(), ids=SOURCES.keys())
def test_pods_that_fetch_reach_the_sources_of_the_catalog(
    source: dict[str, Any], port: int, strategy: str, name: str
) -> None:
    spec = _preview(_entry(source), strategy).one("NetworkPolicy", name).inputs["spec"]
    assert spec["egress"] == [DNS, open_to(443, port)]
