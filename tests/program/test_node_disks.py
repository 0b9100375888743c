"""Strategy node-local over a pool: one claim per node to fill, and one claim that engines read on any node."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.program.previews import Preview

Previews = Callable[..., Preview]
POOL: dict[str, Any] = {
    "larder:node-pools": {"cpu": {"hosts": ["larder", "mars"], "taints": ["weights:NoSchedule"]}},
    "larder:cache": {"node-local": {"node": None, "pool": "cpu"}},
}


@pytest.fixture
def seen(preview: Previews) -> Preview:
    return preview("node-local", POOL)


def test_every_node_has_its_own_claim_and_job(seen: Preview) -> None:
    for host in ("larder", "mars"):
        job = seen.pod("Job", f"populate-{host}-")
        assert job["nodeSelector"] == {"kubernetes.io/hostname": host}
        assert [v["persistentVolumeClaim"]["claimName"] for v in job["volumes"] if "persistentVolumeClaim" in v] == [
            f"{host}-model-storage"
        ]
        assert job["tolerations"] == [{"key": "weights", "operator": "Exists", "effect": "NoSchedule"}]
        volume = seen.one("PersistentVolume", f"{host}-model-storage").inputs["spec"]
        assert volume["accessModes"] == ["ReadWriteOnce"]


def test_engines_read_the_disk_of_the_node_they_run_on(seen: Preview) -> None:
    claims = [v["persistentVolumeClaim"]["claimName"] for v in seen.pod()["volumes"] if "persistentVolumeClaim" in v]
    assert claims == ["cpu-pool-weights"]
    claim = seen.one("PersistentVolumeClaim", "cpu-pool-").inputs["spec"]
    volume = seen.one("PersistentVolume", "ai-cpu-pool-").inputs["spec"]
    assert claim["accessModes"] == volume["accessModes"] == ["ReadOnlyMany"]
    assert claim["volumeName"] == "ai-cpu-pool-weights"
    assert volume["hostPath"] == {"path": "/var/lib/larder/models", "type": "Directory"}
    assert volume["claimRef"]["name"] == "cpu-pool-weights"


def test_engines_run_on_nodes_with_a_disk_and_wait_for_all_of_them(seen: Preview) -> None:
    required = seen.pod()["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = required["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["larder", "mars"]
    jobs = {job.urn for job in seen.all("Job") if job.inputs["metadata"]["name"].startswith("populate-")}
    assert len(jobs) == 2
    assert jobs <= seen.one("Deployment", "ollama").dependencies


def test_a_growing_pool_changes_no_existing_volume(preview: Previews, seen: Preview) -> None:
    grown = {
        **POOL,
        "larder:node-pools": {"cpu": {"hosts": ["larder", "mars", "venus"], "taints": ["weights:NoSchedule"]}},
    }
    data = ("PersistentVolume", "PersistentVolumeClaim", "StorageClass")
    before, after = (
        {n: (r.urn, r.inputs) for n, r in p.named().items() if n.split()[0] in data}
        for p in (seen, preview("node-local", grown))
    )
    assert before.items() <= after.items()
    assert {name.split()[1] for name in after.keys() - before.keys()} == {"venus-model-storage"}


def test_the_claim_of_a_node_is_the_same_whether_it_is_named_or_in_a_pool(preview: Previews, seen: Preview) -> None:
    alone = preview("node-local", {"larder:node-pools": POOL["larder:node-pools"]})
    for kind in ("PersistentVolume", "PersistentVolumeClaim"):
        one, other = alone.one(kind, "larder-model-"), seen.one(kind, "larder-model-")
        assert (one.urn, one.inputs) == (other.urn, other.inputs)


def test_a_host_of_the_longest_name_has_a_job_whose_label_kubernetes_takes(preview: Previews) -> None:
    long = f"{'a' * 30}.{'b' * 32}"
    seen = preview(
        "node-local",
        {
            "larder:node-pools": {"cpu": {"hosts": ["larder", long]}},
            "larder:cache": {"node-local": {"node": None, "pool": "cpu"}},
        },
    )
    jobs = seen.all("Job")
    assert len(jobs) > 1
    for job in jobs:
        assert len(job.inputs["metadata"]["name"]) <= 63
        assert len(job.inputs["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]) <= 63


def test_a_stack_with_one_old_volume_keeps_it(preview: Previews) -> None:
    """Names of its resources had no node, and they are protected: a new name would fail every `up`."""
    alone = preview("node-local", {})
    for kind, was in (("StorageClass", "class"), ("PersistentVolume", "volume"), ("PersistentVolumeClaim", "claim")):
        part = alone.one(kind, "larder-model-storage")
        assert part.urn.startswith("urn:pulumi:dev::larder::larder:platform:Platform$larder:storage:LocalVolume$")
        assert part.aliases == {was}


def test_in_a_pool_no_two_volumes_claim_one_old_name(seen: Preview) -> None:
    assert not [part for kind in ("StorageClass", "PersistentVolume") for part in seen.all(kind) if part.aliases]


def test_a_node_may_have_the_name_of_a_pool_and_more(preview: Previews) -> None:
    like_a_pool = {
        "larder:node-pools": {"cpu": {"hosts": ["larder", "cpu-pool"]}},
        "larder:cache": {"node-local": {"node": None, "pool": "cpu"}},
    }
    claims = [
        claim.inputs["metadata"]["name"] for claim in preview("node-local", like_a_pool).all("PersistentVolumeClaim")
    ]
    assert len(claims) == len(set(claims)) == 4
