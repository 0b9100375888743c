"""Node pools: the resources of each cloud, and the placement of pods."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from components.node_pools import pool_class
from components.settings import SettingsError
from components.settings.clusters import KINDS
from components.settings.node_pools import POOL_LABEL, NodePoolSettings
from preview.objects import kind
from preview.recorder import Registered
from preview.render import render
from tests.program.previews import Preview

Previews = Callable[..., Preview]
CLOUDS = {"prod-aws": "NodeGroup", "prod-gcp": "NodePool", "prod-azure": "AgentPool"}
clouds = pytest.mark.parametrize("stack", CLOUDS)
PLACES = {
    "prod-aws": ("region", "eu-central-1"),
    "prod-gcp": ("project", "example-prod"),
    "prod-azure": ("subscriptionId", "00000000-0000-0000-0000-000000000000"),
}
TAINT = {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}
SPOT = "kubernetes.azure.com/scalesetpriority"
BESIDE = {
    "larder:models": ["tinyllama-1.1b-chat", "tiny-random"],
    "larder:ollama": {"pool": "rocm"},
}
"""Ollama beside KServe, on the same machine."""
ON_VENUS = {"key": "amd.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def _with(stack: str, **pool: Any) -> dict[str, Any]:
    return {"larder:node-pools": {"rocm" if stack == "venus" else "cpu": pool}}


def _machines(seen: Preview, stack: str) -> Registered:
    (found,) = [r for r in seen.recording.resources if r.custom and kind(r) == CLOUDS[stack]]
    return found


def _expression(seen: Preview, name: str | None = None) -> dict[str, Any]:
    affinity = seen.pod("Deployment", name)["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    (term,) = affinity["nodeSelectorTerms"]
    (expression,) = term["matchExpressions"]
    return dict(expression)


def test_on_eks_a_pool_is_a_managed_node_group(preview: Previews) -> None:
    overlay = _with("prod-aws", spot=True, taints=["team=ml:NoSchedule"], labels={"tier": "inference"})
    assert _machines(preview("none", overlay, stack="prod-aws"), "prod-aws").inputs == {
        "clusterName": "prod",
        "nodeRoleArn": "arn:aws:iam::123456789012:role/prod-nodes",
        "subnetIds": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"],
        "instanceTypes": ["m6i.xlarge"],
        "amiType": "AL2023_x86_64_STANDARD",
        "capacityType": "SPOT",
        "diskSize": 100,
        "scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 1},
        "labels": {POOL_LABEL: "cpu", "tier": "inference"},
        "taints": [{"key": "team", "value": "ml", "effect": "NO_SCHEDULE"}],
    }


@pytest.mark.parametrize(
    ("instance", "image"),
    [
        ("c7g.xlarge", "AL2023_ARM_64_STANDARD"),
        ("m6gd.large", "AL2023_ARM_64_STANDARD"),
        ("im4gn.large", "AL2023_ARM_64_STANDARD"),
        ("g5.xlarge", "AL2023_x86_64_STANDARD"),
        ("m6i.xlarge", "AL2023_x86_64_STANDARD"),
    ],
)
def test_on_eks_the_image_fits_the_processor(instance: str, image: str) -> None:
    from components.node_pools.eks import ami_type

    assert ami_type(instance) == image


def test_on_gke_a_pool_is_a_node_pool(preview: Previews) -> None:
    overlay = _with("prod-gcp", spot=True, taints=["team=ml:NoExecute"], labels={"tier": "inference"})
    assert _machines(preview("none", overlay, stack="prod-gcp"), "prod-gcp").inputs == {
        "project": "example-prod",
        "location": "europe-west4",
        "cluster": "prod",
        "autoscaling": {"totalMinNodeCount": 1, "totalMaxNodeCount": 3},
        "management": {"autoRepair": True, "autoUpgrade": True},
        "nodeConfig": {
            "machineType": "n2-standard-4",
            "spot": True,
            "diskSizeGb": 100,
            "labels": {POOL_LABEL: "cpu", "tier": "inference"},
            "taints": [{"key": "team", "value": "ml", "effect": "NO_EXECUTE"}],
            "oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"],
        },
    }


def test_on_gke_pods_tolerate_the_taint_of_arm_nodes(preview: Previews) -> None:
    seen = preview("none", _with("prod-gcp", instance="c4a-standard-4"), stack="prod-gcp")
    assert seen.pod()["tolerations"] == [
        {"key": "kubernetes.io/arch", "operator": "Equal", "value": "arm64", "effect": "NoSchedule"}
    ]
    assert _machines(seen, "prod-gcp").inputs["nodeConfig"]["taints"] == []


def test_on_aks_a_pool_is_an_agent_pool(preview: Previews) -> None:
    overlay = _with("prod-azure", taints=["team=ml:NoSchedule"], labels={"tier": "inference"})
    inputs = dict(_machines(preview("none", overlay, stack="prod-azure"), "prod-azure").inputs)
    assert inputs.pop("agentPoolName").startswith("cpu")
    assert inputs == {
        "resourceGroupName": "prod",
        "resourceName": "prod",
        "mode": "User",
        "osType": "Linux",
        "vmSize": "Standard_D4s_v5",
        "osDiskSizeGB": 100,
        "enableAutoScaling": True,
        "minCount": 1,
        "maxCount": 3,
        "count": 1,
        "nodeLabels": {POOL_LABEL: "cpu", "tier": "inference"},
        "nodeTaints": ["team=ml:NoSchedule"],
    }


def test_on_aks_another_machine_is_another_pool_within_twelve_letters() -> None:
    from components.node_pools.aks import agent_pool_name

    def named(**pool: Any) -> str:
        return agent_pool_name("eightchr", NodePoolSettings.model_validate({"instance": "Standard_D4s_v5", **pool}))

    assert named() == named(max=9, labels={"tier": "a"}) != named(instance="Standard_D8s_v5")
    assert len(named()) == 12
    assert named().isalnum()


def test_on_aks_pods_of_a_spot_pool_tolerate_its_taint(preview: Previews) -> None:
    seen = preview("none", _with("prod-azure", spot=True), stack="prod-azure")
    assert _machines(seen, "prod-azure").inputs["scaleSetPriority"] == "Spot"
    assert _machines(seen, "prod-azure").inputs["nodeTaints"] == [f"{SPOT}=spot:NoSchedule"]
    assert [toleration["key"] for toleration in seen.pod()["tolerations"]] == [SPOT]


def test_on_aks_the_operator_installs_the_driver_of_an_amd_gpu(preview: Previews) -> None:
    overlay = _with("prod-azure", instance="Standard_ND96isr_MI300X_v5", accelerator="amd.com/gpu")
    assert _machines(preview("none", overlay, stack="prod-azure"), "prod-azure").inputs["gpuProfile"] == {
        "driver": "None"
    }


@clouds
def test_the_provider_has_the_region_of_the_cluster(preview: Previews, stack: str) -> None:
    seen = preview("none", stack=stack)
    providers = [r for r in seen.recording.resources if r.type.startswith("pulumi:providers:")]
    (provider,) = [provider for provider in providers if kind(provider) != "kubernetes"]
    key, value = PLACES[stack]
    assert provider.inputs[key] == value
    assert _machines(seen, stack).provider.startswith(f"{provider.urn}::")


@clouds
def test_pods_go_to_the_pool_by_its_label_and_tolerate_its_taints(preview: Previews, stack: str) -> None:
    seen = preview("none", _with(stack, taints=["team=ml:NoSchedule"]), stack=stack)
    assert _expression(seen) == {"key": POOL_LABEL, "operator": "In", "values": ["cpu"]}
    assert seen.pod()["tolerations"] == [TAINT]


@clouds
def test_stacks_wait_for_their_pool_within_its_timeouts(preview: Previews, stack: str) -> None:
    seen = preview("none", stack=stack)
    machines = _machines(seen, stack)
    assert machines.urn in seen.one("Deployment").dependencies
    assert machines.timeouts["create"] == "30m"
    assert not machines.protect


@clouds
def test_the_autoscaler_owns_the_size_of_an_existing_pool(preview: Previews, stack: str) -> None:
    left = {"prod-aws": {"scalingConfig.desiredSize"}, "prod-gcp": set(), "prod-azure": {"count"}}
    assert _machines(preview("none", stack=stack), stack).ignored == left[stack]


def test_a_pool_may_shrink_to_nothing_and_begins_with_one_machine(preview: Previews) -> None:
    seen = preview("none", _with("prod-aws", min=0, max=1), stack="prod-aws")
    wanted = {"minSize": 0, "maxSize": 1, "desiredSize": 1}
    assert _machines(seen, "prod-aws").inputs["scalingConfig"] == wanted


def test_nodes_by_name_stay_as_they_are_unless_the_pool_asks_for_labels_or_taints(preview: Previews) -> None:
    assert not [r for r in preview("none").recording.resources if kind(r) == "NodePatch"]


def test_nodes_by_name_get_labels_and_taints(preview: Previews) -> None:
    seen = preview(stack="venus")
    (patch,) = [r for r in seen.recording.resources if kind(r) == "NodePatch"]
    assert patch.inputs == {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "venus", "labels": {POOL_LABEL: "rocm"}},
        "spec": {"taints": [{"key": "amd.com/gpu", "effect": "NoSchedule"}]},
    }
    assert patch.urn in seen.one("Deployment", "larder-manager").dependencies


def test_a_node_is_read_before_it_is_patched_so_that_a_wrong_name_ends_the_preview(preview: Previews) -> None:
    """Server-side apply would create a Node with that name."""
    two = _with("venus", hosts=["venus", "pluto"])
    seen = preview(None, two, stack="venus")
    read = {"node-pools.rocm.hosts.venus": "venus", "node-pools.rocm.hosts.pluto": "pluto"}
    assert {name: host for name, host in seen.recording.needs.items() if name.startswith("node-pools")} == read
    patches = {r.name: r.dependencies for r in seen.recording.resources if kind(r) == "NodePatch"}
    assert patches.keys() == {"venus", "pluto"}
    for host, dependencies in patches.items():
        assert [urn for urn in dependencies if urn.endswith(f":Node::node-pools.rocm.hosts.{host}")] != []


def test_nodes_that_stay_as_they_are_are_known_by_a_label_and_not_read(preview: Previews) -> None:
    """A node's name need not be its label `kubernetes.io/hostname`."""
    assert preview("none").recording.needs == {}


def test_a_node_that_moves_to_another_pool_is_changed_in_place(preview: Previews) -> None:
    """Two patches of one node would conflict over its label while one is deleted."""
    gpu = {"hosts": ["venus"], "accelerator": "amd.com/gpu", "labels": {"tier": "a"}}
    pools = {"gpu": gpu, "rocm": {"hosts": ["pluto"]}}
    moved = preview(None, {"larder:node-pools": pools, "larder:kserve": {"pool": "gpu"}}, stack="venus")

    def patch(seen: Preview) -> Registered:
        (found,) = [r for r in seen.recording.resources if kind(r) == "NodePatch" and r.name == "venus"]
        return found

    assert patch(preview(stack="venus")).urn == patch(moved).urn
    assert patch(moved).inputs["metadata"]["labels"] == {POOL_LABEL: "gpu", "tier": "a"}


@pytest.mark.parametrize(
    ("taints", "more"),
    [(["amd.com/gpu:NoSchedule"], []), (["amd.com/gpu:NoSchedule", "team=ml:NoSchedule"], [TAINT])],
)
def test_every_pod_on_a_tainted_node_tolerates_the_taint(
    preview: Previews, taints: list[str], more: list[dict[str, str]]
) -> None:
    seen = preview(None, {**_with("venus", taints=taints), **BESIDE}, stack="venus")
    pods = {name: pod for name, pod in seen.pods().items() if name != "Deployment front"}
    pods["InferenceService active-llm"] = seen.inference().predictor
    assert pods.keys() >= {"Deployment ollama", "Deployment larder-manager"}
    assert len(pods) == 4
    for name, pod in pods.items():
        assert pod["tolerations"] == [ON_VENUS, *more], name
    assert _expression(seen, "ollama") == {"key": "kubernetes.io/hostname", "operator": "In", "values": ["venus"]}


def test_without_taints_nothing_is_tolerated(preview: Previews) -> None:
    assert not [name for name, pod in preview("node-local").pods().items() if "tolerations" in pod]


@pytest.mark.parametrize("stack", [*CLOUDS, "venus"])
def test_a_pool_is_named_where_manifests_are_rendered_without_it(preview: Previews, stack: str) -> None:
    """A tool that prunes manifests would delete a rendered Node."""
    files, left_out = render(preview(stack=stack).recording)
    assert list(left_out.values()) == ["is not a manifest. Make the node pool yourself"]
    assert not [text for text in files.values() if "kind: Node\n" in text]


def test_a_missing_package_of_a_cloud_is_reported_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KINDS["eks"], "FACTS", replace(KINDS["eks"].FACTS, pools="missing_cloud:Pool"))
    with pytest.raises(SettingsError, match=r"eks needs the Python package .*missing_cloud\. Fix: run make clouds\."):
        pool_class("eks")
