"""Invalid pools are refused with path and fix, by the rules of each cloud."""

from typing import Any

import pytest

from components.settings.node_pools import NodePoolSettings, Taint, taints_of
from components.settings.sources import merged
from tests.unit.stack_config import AKS, EKS, GKE, GOOD, problems, problems_of, settings

CLOUDS: dict[str, tuple[dict[str, Any], str]] = {
    "eks": (EKS, "m6i.xlarge"),
    "gke": (GKE, "n2-standard-4"),
    "aks": (AKS, "Standard_D4s_v5"),
}


def _of(kind: str, pools: dict[str, Any], cluster: dict[str, Any] | None = None) -> list[str]:
    base = {**GOOD, "larder:cluster": CLOUDS[kind][0], "larder:node-pools": pools, "larder:cache": {"strategy": "none"}}
    return problems_of(merged(base, {"larder:cluster": cluster or {}}))


def _pool(kind: str, **pool: Any) -> list[str]:
    return _of(kind, {"cpu": {"instance": CLOUDS[kind][1], **pool}})


@pytest.mark.parametrize("kind", CLOUDS)
def test_a_pool_of_a_cloud_requires_only_an_instance(kind: str) -> None:
    assert _pool(kind) == []


@pytest.mark.parametrize(
    ("kind", "instance"),
    [
        ("eks", "u-6tb1.metal"),
        ("eks", "p5.48xlarge"),
        ("gke", "n2-custom-4-8192"),
        ("gke", "e2-medium"),
        ("gke", "a3-highgpu-8g"),
        ("aks", "Standard_ND96isr_MI300X_v5"),
        ("aks", "Standard_D4ps_v6"),
    ],
)
def test_instances_have_the_form_of_their_cloud(kind: str, instance: str) -> None:
    assert _pool(kind, instance=instance) == []
    for other in CLOUDS.keys() - {kind}:
        (line,) = _pool(other, instance=instance)
        assert line.startswith(f"larder:node-pools.cpu.instance: {instance!r} is not a machine type of {other}.")


CLOUD_BAD: list[tuple[str, dict[str, Any], str]] = [
    (
        "eks",
        {"instance": None},
        "instance: kind eks requires a machine type. Fix: add one, as in m6i.xlarge.",
    ),
    (
        "gke",
        {"instance": "auto"},
        "instance: 'auto' is not supported yet. Fix: write a machine type, as in n2-standard-4.",
    ),
    (
        "eks",
        {"hosts": ["venus"]},
        "hosts: the cloud names and replaces nodes of kind eks. Fix: write a machine type in instance.",
    ),
    ("aks", {"min": 3, "max": 1}, "max: 1 is less than min, which is 3. Fix: write at least 3."),
    (
        "gke",
        {"accelerator": "amd.com/gpu"},
        "accelerator: no machine of gke has amd.com/gpu. "
        "Fix: remove the key, or use MI300X on aks or nodes of your own.",
    ),
    (
        "aks",
        {"accelerator": "amd.com/gpu"},
        "accelerator: Standard_D4s_v5 has no amd.com/gpu. "
        "Fix: write Standard_ND96isr_MI300X_v5 in instance, or remove the key.",
    ),
    (
        "eks",
        {"accelerator": "nvidia.com/gpu"},
        "accelerator: 'nvidia.com/gpu' is not one of the choices. Did you mean 'amd.com/gpu'? Fix: choose one "
        "of amd.com/gpu.",
    ),
    (
        "gke",
        {"taints": ["amd.com/gpu"]},
        "taints[0]: 'amd.com/gpu' is not a taint. Fix: write key=value:effect or key:effect with effect NoSchedule, "
        "PreferNoSchedule or NoExecute, as in amd.com/gpu:NoSchedule.",
    ),
    (
        "eks",
        {"labels": {"larder.dev/pool": "other"}},
        "labels.larder.dev/pool: Larder sets larder.dev/pool itself. Fix: remove the key.",
    ),
]


@pytest.mark.parametrize(("kind", "pool", "line"), CLOUD_BAD, ids=[line.partition(":")[0] for _, _, line in CLOUD_BAD])
def test_an_invalid_pool_is_one_line_with_path_and_fix(kind: str, pool: dict[str, Any], line: str) -> None:
    assert _pool(kind, **pool) == [f"larder:node-pools.cpu.{line}"]


HOST_BAD: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"hosts": None},
        ["cpu.hosts: kind embedded requires names of nodes. Fix: add them, as in label kubernetes.io/hostname."],
    ),
    (
        {"hosts": None, "instance": "m6i.xlarge"},
        ["cpu.instance: Larder makes no machines on a cluster of kind embedded. Fix: name its nodes in hosts."],
    ),
    ({"spot": True}, ["cpu.spot: there are no spot machines on a cluster of kind embedded. Fix: remove the key."]),
    (
        {"min": 1, "max": 2},
        [
            "cpu.min: Larder makes no machines on a cluster of kind embedded. Fix: remove the key.",
            "cpu.max: Larder makes no machines on a cluster of kind embedded. Fix: remove the key.",
        ],
    ),
]


@pytest.mark.parametrize(("pool", "lines"), HOST_BAD, ids=["no hosts", "instance", "spot", "size"])
def test_settings_of_clouds_are_refused_for_existing_nodes(pool: dict[str, Any], lines: list[str]) -> None:
    base = merged(GOOD, {"larder:cache": {"strategy": "none", "node-local": None}})
    assert problems_of(merged(base, {"larder:node-pools": {"cpu": pool}})) == [
        f"larder:node-pools.{line}" for line in lines
    ]


@pytest.mark.parametrize("kind", CLOUDS)
def test_a_cluster_of_a_cloud_requires_its_keys_and_no_others(kind: str) -> None:
    pools = {"cpu": {"instance": CLOUDS[kind][1]}}
    cluster, _ = CLOUDS[kind]
    for left_out in cluster.keys() - {"kind", "context"}:
        config = {**GOOD, "larder:node-pools": pools, "larder:cache": {"strategy": "none"}}
        (line,) = problems_of({**config, "larder:cluster": {k: v for k, v in cluster.items() if k != left_out}})
        assert line.startswith(f"larder:cluster.{left_out}: kind {kind} requires this key. Fix: add it. ")
    foreign = {"eks": "project", "gke": "region", "aks": "location"}[kind]
    assert _of(kind, pools, {foreign: "x"}) == [
        f"larder:cluster.{foreign}: a cluster of kind {kind} has no {foreign}. Fix: remove the key."
    ]


def test_a_role_is_an_arn() -> None:
    (line,) = _of("eks", {"cpu": {"instance": "m6i.xlarge"}}, {"node-role": "nodes"})
    assert line.startswith("larder:cluster.node-role: 'nodes' is not allowed here. ARN of the IAM role of the machines")


@pytest.mark.parametrize("name", ["ninechars", "a-b", "1a"])
def test_aks_refuses_long_pool_names(name: str) -> None:
    assert _of("aks", {name: {"instance": "Standard_D4s_v5"}, "cpu": {"instance": "Standard_D4s_v5"}}) == [
        "larder:node-pools: AKS accepts pool names of up to 8 lower-case letters and digits that begin with a letter, "
        f"unlike {name!r}. Fix: choose another name."
    ]


def test_weights_on_disks_of_cloud_machines_are_refused() -> None:
    block = {"node": "ip-10-0-0-1", "path": "/var/lib/larder", "size": "2Gi"}
    base = {**GOOD, "larder:cluster": EKS, "larder:node-pools": {"cpu": {"instance": "m6i.xlarge"}}}
    assert problems_of({**base, "larder:cache": {"strategy": "none", "node-local": block}}) == [
        "larder:cache.node-local.node: the cloud replaces nodes of kind eks together with their disks. "
        "Fix: remove the block and choose another strategy."
    ]


def test_a_node_with_labels_belongs_to_one_pool() -> None:
    both = {"spare": {"hosts": ["pluto", "venus"]}}
    assert problems({"larder:node-pools": both}) == []
    assert problems({"larder:node-pools": merged(both, {"cpu": {"labels": {"tier": "a"}}})}) == [
        "larder:node-pools: node 'venus' is in pools 'cpu' and 'spare', but a node whose labels or taints "
        "Larder writes belongs to one pool. Fix: remove it from one of them."
    ]


@pytest.mark.parametrize(
    ("text", "taint"),
    [
        ("amd.com/gpu:NoSchedule", Taint("amd.com/gpu", "", "NoSchedule")),
        ("team=ml:NoExecute", Taint("team", "ml", "NoExecute")),
        ("team=:PreferNoSchedule", Taint("team", "", "PreferNoSchedule")),
    ],
)
def test_taints_are_written_as_kubectl_writes_them(text: str, taint: Taint) -> None:
    assert Taint.of(text) == taint
    assert Taint.of(str(taint)) == taint


def test_a_host_has_the_taints_of_its_pools() -> None:
    found = settings({"larder:node-pools": {"spare": {"taints": ["a:NoSchedule", "b=1:NoExecute"]}}}).node_pools
    assert taints_of("pluto", found) == (Taint("a", "", "NoSchedule"), Taint("b", "1", "NoExecute"))
    assert taints_of("venus", found) == ()


@pytest.mark.parametrize(("size", "most"), [({}, 1), ({"min": 3}, 3), ({"min": 0}, 1), ({"min": 1, "max": 4}, 4)])
def test_max_defaults_to_min(size: dict[str, int], most: int) -> None:
    assert NodePoolSettings.model_validate({"instance": "m6i.xlarge", **size}).most == most
