"""The plugin under test decides each recorded case as the official plugin did."""

import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pytest

from testbed.cluster import cluster
from testbed.plugin.client import Client
from testbed.toolchain import tools
from tests.plugin import recording
from tests.plugin.cases import CASES
from tests.plugin.stack import OFFICIAL, Stack

pytestmark = pytest.mark.timeout(900)

RECORD = bool(os.environ.get("RECORD"))
KSERVE = "serving.kserve.io"


@pytest.fixture(scope="module")
def kserve(api: Client, kubeconfig_path: Path) -> bool:
    """Tell if the API server knows KServe's kinds. Only the cluster of this checkout gets their definitions here."""
    running = cluster.running()
    if running is not None and running.kubeconfig == kubeconfig_path:
        definitions = tools.KSERVE.ensure() / "config" / "crd"
        for folder in (definitions, definitions / "localmodel"):
            running.kubectl("apply", "--server-side", "-k", str(folder))
        running.kubectl("wait", "--for=condition=Established", "crd", "--all")
    return any(group["name"] == KSERVE for group in api.get("/apis")["groups"])


def _version(text: str) -> str:
    """Return the version of the plugin: that of the SDK, unless the CLI says otherwise."""
    told = re.search(r"resource plugin kubernetes is expected .* but has ([\d.]+)", text)
    return told[1] if told else metadata.version("pulumi_kubernetes")


def test_each_case_is_decided_as_recorded(stack: Stack, api: Client, kserve: bool) -> None:
    cases = [c for c in CASES.values() if kserve or KSERVE not in str((c.before or c.after or {})["apiVersion"])]
    found = recording.outcomes(stack, api, cases)
    if RECORD:
        assert OFFICIAL, "RECORD=1: PLUGIN_TEST names no official plugin"
        assert len(cases) == len(CASES), "RECORD=1: the API server does not know KServe's kinds"
        facts = {
            "plugin": f"pulumi-resource-kubernetes {_version(stack.up())}",
            "kubernetes": api.get("/version")["gitVersion"],
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        }
        recording.write(facts, found)
    recorded = recording.read()
    pairs = {name: (replace(found[name], says=""), replace(recorded[name], says="")) for name in found}
    assert {name: pair for name, pair in pairs.items() if pair[0] != pair[1]} == {}
