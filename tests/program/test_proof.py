"""The Job that checks an image before any pod rolls: its node and its time."""

from collections.abc import Callable

import pytest

from tests.program.previews import Preview

Previews = Callable[..., Preview]


@pytest.mark.parametrize("strategy", ["image-volume", "prebuilt-image"])
def test_the_preflight_job_runs_on_the_nodes_of_the_engine(preview: Previews, strategy: str) -> None:
    """Other machines may have another architecture or too little disk, and the taints of a pool may keep it off."""
    tainted = {"larder:node-pools": {"cpu": {"hosts": ["larder"], "taints": ["weights:NoSchedule"]}}}
    seen = preview(strategy, tainted)
    proof, engine = seen.pod("Job", "preflight-"), seen.pod()
    assert proof["affinity"]["nodeAffinity"] == engine["affinity"]["nodeAffinity"]
    assert proof["tolerations"] == engine["tolerations"]


def test_the_preflight_job_waits_for_the_machines_of_the_pool(preview: Previews) -> None:
    """The deadline counts from the creation of the Job, and machines take minutes."""
    seen = preview("prebuilt-image", stack="prod-aws")
    machines = {resource.urn for resource in seen.recording.resources if resource.type.endswith(":NodeGroup")}
    assert machines
    assert machines & seen.one("Job", "preflight-").dependencies
