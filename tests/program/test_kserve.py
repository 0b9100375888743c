"""The KServe stack and the front before it, in the requests to the engine."""

from collections.abc import Callable
from typing import Any

import pytest
from larder_sidecar.config.gateway import GatewayConfig

from components.settings import SettingsError
from components.settings.strategies import STRATEGIES
from tests.program.previews import DRAINS, Preview
from tests.program.test_manager import MANAGER

Previews = Callable[..., Preview]
POOL = {
    "larder:node-pools": {
        "cpu": {"hosts": ["larder"]},
        "rocm": {"hosts": ["larder", "mars"], "accelerator": "amd.com/gpu"},
    }
}
BOTH: dict[str, Any] = {
    **POOL,
    "larder:models": ["tinyllama-1.1b-chat", "tiny-random", "tiny-second"],
    "larder:kserve": {"pool": "rocm", "active": "tiny-random", "models": ["tiny-random", "tiny-second"]},
}
MANAGED = {"larder:manager": {**MANAGER["larder:manager"], "api-token": {"secret": "mine"}}}
OTHER = {**BOTH, "larder:kserve": {**BOTH["larder:kserve"], "active": "tiny-second"}}


@pytest.fixture
def seen(preview: Previews) -> Preview:
    return preview("node-local", BOTH)


def _predictor(seen: Preview) -> dict[str, Any]:
    return dict(seen.one("InferenceService", "active-llm").inputs["spec"]["predictor"])


@pytest.mark.parametrize("unknowns", [False, True], ids=["known", "unknown"])
def test_it_previews_beside_ollama_behind_a_front(preview: Previews, unknowns: bool) -> None:
    seen = preview("node-local", BOTH, unknowns=unknowns)
    assert {
        "ServingRuntime vllm-runtime",
        "InferenceService active-llm",
        "Deployment front",
        "PodDisruptionBudget front",
        "Deployment ollama",
        "Service ollama",
        "Service larder",
    } <= seen.named().keys()
    assert seen.one("Service", "larder").inputs["spec"]["selector"]["app.kubernetes.io/name"] == "front"


@pytest.mark.parametrize(
    ("config", "needs"), [({}, []), (BOTH, ["v1beta1.serving.kserve.io"]), (MANAGED, ["v1beta1.serving.kserve.io"])]
)
def test_blocks_that_need_kserve_require_its_api(preview: Previews, config: dict[str, Any], needs: list[str]) -> None:
    assert list(preview("node-local", config).recording.needs.values()) == needs


def test_the_entry_waits_for_the_front(seen: Preview) -> None:
    assert seen.one("Deployment", "front").urn in seen.one("Service", "larder").dependencies


def test_the_volume_of_venus_keeps_its_name_size_and_path(preview: Previews) -> None:
    seen = preview(stack="venus")
    volume = seen.one("PersistentVolume", "venus-model-storage").inputs["spec"]
    assert (volume["capacity"]["storage"], volume["local"]["path"]) == ("1200Gi", "/mnt/models")
    assert seen.inference().storage_uri == "pvc://venus-model-storage/ollama/models/{id}"


def test_the_service_overrides_defaults_of_kserve(seen: Preview) -> None:
    service = seen.one("InferenceService")
    annotations = service.inputs["metadata"]["annotations"]
    assert annotations["serving.kserve.io/deploymentMode"] == "Standard"
    assert annotations["serving.kserve.io/autoscalerClass"] == "none"
    assert annotations["pulumi.com/waitFor"] == "condition=Ready"
    predictor = _predictor(seen)
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 1)
    assert predictor["deploymentStrategy"] == {"type": "Recreate"}
    assert predictor["terminationGracePeriodSeconds"] == 60


def test_gpus_are_in_requests_and_limits_of_the_model(seen: Preview) -> None:
    predictor = _predictor(seen)
    resources = predictor["model"]["resources"]
    assert "resources" not in predictor
    assert resources["requests"]["amd.com/gpu"] == resources["limits"]["amd.com/gpu"] == "1"
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    assert predictor["tolerations"] == [{"key": "amd.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_the_predictor_runs_on_nodes_with_the_weights(seen: Preview) -> None:
    affinity = _predictor(seen)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = affinity["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["larder"]}]


def test_another_active_model_is_another_folder_another_name_and_a_front_that_knows_it(preview: Previews) -> None:
    before, after = preview("node-local", BOTH).named(), preview("node-local", OTHER).named()
    changed = {name for name in before if before[name].inputs != after[name].inputs}
    assert changed == {"InferenceService active-llm", "ConfigMap larder-front", "Deployment front"}
    one, other = _predictor(preview("node-local", BOTH)), _predictor(preview("node-local", OTHER))
    assert one["model"]["storageUri"] == "pvc://larder-model-storage/ollama/models/tiny-random"
    assert other["model"]["storageUri"] == "pvc://larder-model-storage/ollama/models/tiny-second"
    assert "--served-model-name=tiny-second" in other["model"]["args"]


def test_the_job_makes_the_folders_and_the_service_waits_for_it(preview: Previews, seen: Preview) -> None:
    (container,) = seen.pod("Job", "populate-")["containers"]
    assert "--model-folders" in container["args"]
    assert seen.one("Job", "populate-").urn in seen.one("InferenceService").dependencies
    assert seen.one("ServingRuntime").urn in seen.one("InferenceService").dependencies
    (without,) = preview("node-local").pod("Job", "populate-")["containers"]
    assert "--model-folders" not in without["args"]


def test_vllm_keeps_the_restricted_standard(seen: Preview) -> None:
    (container,) = seen.one("ServingRuntime").inputs["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert _predictor(seen)["securityContext"]["runAsNonRoot"]
    assert "@sha256:" in container["image"]


def test_the_startup_probe_lasts_as_long_as_the_weights_need(preview: Previews) -> None:
    slow = preview("node-local", {**BOTH, "larder:cache": {"min-bandwidth": "1MiB/s"}})
    (container,) = slow.one("ServingRuntime").inputs["spec"]["containers"]
    probe = container["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 638 + 120
    assert int(slow.one("InferenceService").timeouts["update"].removesuffix("s")) > 638 + 120


def test_only_the_front_reaches_the_stacks(seen: Preview) -> None:
    front = [
        {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "front", "app.kubernetes.io/instance": "larder"}}}
    ]
    for policy in ("larder-kserve", "larder-ollama"):
        ingress = seen.one("NetworkPolicy", policy).inputs["spec"]["ingress"]
        assert ingress[0] == {"ports": [{"port": 8080, "protocol": "TCP"}], "from": front}, policy
    assert seen.one("NetworkPolicy", "larder-kserve").inputs["spec"]["egress"] == []
    clients, _ = seen.one("NetworkPolicy", "larder-front").inputs["spec"]["ingress"]
    assert "from" not in clients
    _, *stacks = seen.one("NetworkPolicy", "larder-front").inputs["spec"]["egress"]
    assert [rule["to"][0]["podSelector"]["matchLabels"] for rule in stacks]
    assert len(stacks) == 2


def test_the_front_has_two_pods_that_drain_one_at_a_time(seen: Preview) -> None:
    deployment = seen.one("Deployment", "front").inputs["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert seen.one("PodDisruptionBudget").inputs["spec"]["maxUnavailable"] == 1
    (container,) = seen.pod("Deployment", "front")["containers"]
    assert container["lifecycle"] == DRAINS
    config = GatewayConfig.from_json(seen.one("ConfigMap", "larder-front").inputs["data"]["gateway.json"])
    assert seen.pod("Deployment", "front")["terminationGracePeriodSeconds"] == config.drain.grace_seconds


def test_the_gateway_beside_ollama_believes_the_front_and_serves_its_own_models(seen: Preview) -> None:
    config = GatewayConfig.from_json(seen.one("ConfigMap", "larder-gateway").inputs["data"]["gateway.json"])
    assert (config.place, [model.id for model in config.models]) == ("behind", ["tinyllama-1.1b-chat"])


def test_the_front_checks_origins_if_there_is_one(preview: Previews) -> None:
    origins = ["https://app.example"]
    cors = {"larder:gateway": {"cors": {"origins": origins}}}
    fronted, alone = preview("node-local", {**BOTH, **cors}), preview("none", cors)
    listed = {
        name: GatewayConfig.from_json(seen.one("ConfigMap", name).inputs["data"]["gateway.json"]).cors.origins
        for seen, name in ((fronted, "larder-front"), (fronted, "larder-gateway"))
    }
    assert listed == {"larder-front": origins, "larder-gateway": []}
    config = GatewayConfig.from_json(alone.one("ConfigMap", "larder-gateway").inputs["data"]["gateway.json"])
    assert config.cors.origins == origins


def _with_manager() -> dict[str, Any]:
    block = {**MANAGER["larder:manager"], "inference": None, "api-token": {"secret": "mine"}}
    kserve = {**BOTH["larder:kserve"], "active": None}
    return {**BOTH, **MANAGER, "larder:manager": block, "larder:kserve": kserve}


def test_the_manager_applies_the_same_service_as_the_stack(preview: Previews) -> None:
    by_us, by_it = preview("node-local", BOTH), preview("node-local", _with_manager())
    assert by_it.all("InferenceService") == []
    assert by_it.one("ServingRuntime").inputs == by_us.one("ServingRuntime").inputs
    assert by_it.one("ServingRuntime").urn in by_it.one("Deployment", "larder-manager").dependencies
    applied, declared = by_it.inference().of("tiny-random"), by_us.one("InferenceService").inputs
    assert applied["spec"] == declared["spec"]
    assert applied["metadata"]["annotations"].items() <= declared["metadata"]["annotations"].items()


def test_the_front_leads_to_every_model_that_a_manager_may_choose(preview: Previews) -> None:
    seen = preview("node-local", _with_manager())
    config = GatewayConfig.from_json(seen.one("ConfigMap", "larder-front").inputs["data"]["gateway.json"])
    assert {e.name: e.models for e in config.engines}["kserve"] == ["tiny-random", "tiny-second"]


@pytest.mark.parametrize("strategy", sorted(name for name, facts in STRATEGIES.items() if not facts.GIVES_URI))
def test_a_strategy_that_kserve_cannot_use_is_refused_with_an_alternative(preview: Previews, strategy: str) -> None:
    with pytest.raises(SettingsError, match=r"larder:kserve\.pool: strategy .* choose node-local"):
        preview(strategy, BOTH)


def test_under_image_volume_kserve_mounts_the_image_of_the_active_model(preview: Previews) -> None:
    seen = preview("image-volume", BOTH)
    reference = seen.pod("Deployment", "ollama")["volumes"]
    (image,) = {v["image"]["reference"] for v in reference if "tiny-random" in v.get("image", {}).get("reference", "")}
    assert _predictor(seen)["model"]["storageUri"] == f"oci+native://{image}"
    assert seen.one("Job", "preflight-").urn in seen.one("InferenceService").dependencies
