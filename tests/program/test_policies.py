"""Every stack file under every strategy keeps every rule, known values or not."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from preview.findings import findings
from preview.recorder import Recording
from tests.program.previews import CASES, Preview

Previews = Callable[..., Preview]
OPEN = {"larder:gateway": {"auth": {"mutations": "open"}}}


@pytest.mark.parametrize("unknowns", [False, True], ids=["known", "unknown"])
@pytest.mark.parametrize(("stack", "strategy"), CASES)
def test_no_stack_breaks_a_rule(preview: Previews, stack: str, strategy: str, unknowns: bool) -> None:
    assert findings(preview(strategy, stack=stack, unknowns=unknowns).recording, stack) == []


def test_an_open_gateway_is_a_finding(preview: Previews) -> None:
    """The rule reads the file that the gateway gets, not the setting."""
    seen = preview("none", OPEN)
    file = json.loads(seen.one("ConfigMap", "larder-gateway").inputs["data"]["gateway.json"])
    assert file["auth"] == {"mutations": "open"}
    assert findings(seen.recording, "dev") == []
    (found,) = findings(seen.recording, "staging")
    assert (found.rule, found.where) == ("closed-mutations", "ConfigMap larder-gateway")


def test_a_volume_without_protection_is_a_finding(preview: Previews) -> None:
    recording = Recording([replace(resource, protect=False) for resource in preview("none").recording.resources])
    kinds = {found.where.split()[0] for found in findings(recording, "dev")}
    assert kinds == {"PersistentVolume", "PersistentVolumeClaim"}
