"""`prune` of a data volume is a Job that runs once, after every engine has rolled, and without network access."""

from collections.abc import Callable
from typing import Any

import pytest

from preview.findings import findings
from preview.render import render
from preview.tree import tree
from tests.program.previews import Preview

Previews = Callable[..., Preview]
OLD = "1f0c9a77b2d4"


def pruning(strategy: str, *forget: str, **more: object) -> dict[str, Any]:
    return {"larder:cache": {strategy: {"prune": {"forget": list(forget), **more}}}}


@pytest.fixture(params=["node-local", "shared-storage"])
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_nothing_is_pruned_without_the_setting(preview: Previews, strategy: str) -> None:
    assert not [name for name in preview(strategy).named() if "prune" in name]


def test_the_job_prunes_the_named_plans_and_keeps_the_active_one(preview: Previews, strategy: str) -> None:
    seen = preview(strategy, pruning(strategy, OLD, "a" * 64))
    (container,) = seen.pod("Job", "prune-")["containers"]
    assert container["args"][:3] == ["fetch", "--config", "/etc/larder/weights/weights.json"]
    assert container["args"][7:] == ["--prune", "--forget", OLD, "--forget", "a" * 64, "--if-there"]


def test_it_mounts_the_volume_of_the_populate_job(preview: Previews, strategy: str) -> None:
    seen = preview(strategy, pruning(strategy, OLD))
    prune, populate = (seen.pod("Job", verb) for verb in ("prune-", "populate-"))
    assert prune["volumes"] == populate["volumes"]
    assert prune.get("nodeSelector") == populate.get("nodeSelector")
    assert prune["containers"][0]["volumeMounts"] == populate["containers"][0]["volumeMounts"]


def test_it_waits_for_every_engine_and_the_populate_job(preview: Previews, strategy: str) -> None:
    both = {
        "larder:models": ["tinyllama-1.1b-chat", "tiny-random"],
        "larder:ollama": {"models": ["tiny-random"]},
        "larder:shimmy": {"pool": "cpu", "models": ["tinyllama-1.1b-chat"]},
    }
    seen = preview(strategy, {**pruning(strategy, OLD), **both})
    before = seen.one("Job", "prune-").dependencies
    assert {seen.one("Deployment", name).urn for name in ("ollama", "shimmy")} <= before
    assert seen.one("Job", "populate-").urn in before


def test_it_has_no_network_access(preview: Previews, strategy: str) -> None:
    seen = preview(strategy, pruning(strategy, OLD))
    policy = seen.one("NetworkPolicy", "larder-prune").inputs["spec"]
    template = seen.one("Job", "prune-").inputs["spec"]["template"]
    assert (policy["ingress"], policy["egress"], policy["policyTypes"]) == ([], [], ["Ingress", "Egress"])
    assert policy["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_it_keeps_every_policy(preview: Previews, strategy: str) -> None:
    seen = preview(strategy, pruning(strategy, OLD))
    assert [found for found in findings(seen.recording, "dev") if "prune" in found.where] == []


def test_a_dry_run_cannot_write(preview: Previews, strategy: str) -> None:
    (container,) = preview(strategy, pruning(strategy, OLD, **{"dry-run": True})).pod("Job", "prune-")["containers"]
    (store,) = [mount for mount in container["volumeMounts"] if mount["mountPath"].startswith("/weights")]
    assert store["readOnly"] is True
    assert container["args"][-1] == "--dry-run"


def test_it_runs_again_if_the_models_or_the_pruned_plans_change(preview: Previews, strategy: str) -> None:
    models = {"larder:models": ["tiny-random"]}
    names = [
        preview(strategy, {**pruning(strategy, *forget), **more}).one("Job", "prune-").inputs["metadata"]["name"]
        for forget, more in (((OLD,), {}), ((OLD,), {}), (("f" * 12,), {}), ((OLD,), models))
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_every_node_of_a_pool_has_a_job(preview: Previews) -> None:
    hosts = ["larder", "mars"]
    seen = preview(
        "node-local",
        {
            "larder:node-pools": {"cpu": {"hosts": hosts, "taints": ["weights:NoSchedule"]}},
            "larder:cache": {"node-local": {"node": None, "pool": "cpu", "prune": {"forget": ["others"]}}},
        },
    )
    for host in hosts:
        job = seen.pod("Job", f"prune-{host}-")
        assert job["nodeSelector"] == {"kubernetes.io/hostname": host}
        assert job["tolerations"] == [{"key": "weights", "operator": "Exists", "effect": "NoSchedule"}]


def test_another_strategy_prunes_no_volume(preview: Previews, strategy: str) -> None:
    assert not [name for name in preview("none", pruning(strategy, OLD)).named() if "prune" in name]


@pytest.mark.parametrize(
    ("dry", "says"), [(False, "removes the weights on"), (True, "lists, without removing them, the weights on")]
)
def test_the_plan_describes_the_job(preview: Previews, strategy: str, dry: bool, says: str) -> None:
    printed = tree(preview(strategy, pruning(strategy, OLD, **{"dry-run": dry})).recording)
    (line,) = [line for line in printed if "Job prune" in line]
    assert says in line
    assert line.endswith(f"only forgotten plans need: {OLD}")


def test_the_job_is_not_rendered_because_files_have_no_order(preview: Previews, strategy: str) -> None:
    files, left_out = render(preview(strategy, pruning(strategy, OLD)).recording)
    assert not [name for name in files if "prune" in name]
    assert {name.rpartition("-")[0] for name in left_out if name.startswith("job-")} <= {
        "job-prune",
        "job-prune-shared",
    }
    assert all("by hand" in reason for name, reason in left_out.items() if "prune" in name)
    assert len(left_out) == 2
