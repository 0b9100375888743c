"""The Shimmy stack: llama-server or Shimmy over plain files, and the download service."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.config.gateway import GatewayConfig

from preview.recorder import Registered
from tests.program.previews import OF_DEV, Preview

Previews = Callable[..., Preview]
ALONE: dict[str, Any] = {"larder:ollama": None, "larder:shimmy": {"pool": "cpu"}}
PULLS = {**ALONE, "larder:shimmy": {"pool": "cpu", "pulls": {}}}
BESIDE = {
    "larder:models": ["tinyllama-1.1b-chat", "tiny-random"],
    "larder:shimmy": {"pool": "cpu", "models": ["tiny-random"]},
}


def _gateway(seen: Preview, name: str) -> GatewayConfig:
    return GatewayConfig.from_json(seen.named()[f"ConfigMap {name}"].inputs["data"]["gateway.json"])


def _mounts(container: dict[str, Any]) -> dict[str, bool]:
    return {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}


def test_llama_server_reads_the_models_of_the_plan_at_their_context(preview: Previews) -> None:
    seen = preview("none", ALONE)
    engine = seen.engine()
    assert engine["image"].startswith("registry.example/llama-server@")
    assert engine["args"][:4] == ["--host", "127.0.0.1", "--port", "8081"]
    presets = seen.one("ConfigMap", "larder-llama-server-").inputs["data"]["models.ini"]
    assert presets.endswith(
        "[tinyllama-1.1b-chat]\nmodel = /weights/ollama/gguf/tinyllama-1.1b-chat.gguf\nctx-size = 2048\n"
    )
    assert _mounts(engine)["/etc/larder/llama-server"]
    assert _gateway(seen, "larder-gateway-shimmy").engines[0].kind == "llama-server"


def test_shimmy_has_one_file(preview: Previews) -> None:
    seen = preview("none", {**ALONE, "larder:shimmy": {"pool": "cpu", "engine": "shimmy"}})
    engine, file = seen.engine(), "/weights/ollama/gguf/tinyllama-1.1b-chat.gguf"
    assert engine["args"] == ["serve", "--bind", "127.0.0.1:8081", "--model-path", file]
    assert {"name": "SHIMMY_BASE_GGUF", "value": file} in engine["env"]
    assert engine["image"].startswith("registry.example/shimmy@")
    assert _gateway(seen, "larder-gateway-shimmy").engines[0].kind == "shimmy"


def test_shimmy_ends_on_sigterm_and_its_exit_ends_the_container(preview: Previews) -> None:
    """It has no handler for SIGTERM, which the kernel does not deliver to a first process without one."""
    *shell, name = preview("none", {**ALONE, "larder:shimmy": {"pool": "cpu", "engine": "shimmy"}}).engine()["command"]
    assert name == "shimmy"
    assert subprocess.run([*shell, "sh", "-c", "exit 3"], check=False).returncode == 3
    # As process 1 of a namespace, without a handler of its own.
    alone = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    with subprocess.Popen([*alone, *shell, "sh", "-c", "echo up; sleep 60"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        (first,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(first), signal.SIGTERM)
        assert process.wait(timeout=10) != 0


def test_it_has_the_settings_of_the_first_download_service(preview: Previews) -> None:
    seen = preview("none", ALONE)
    engine = seen.engine()
    assert engine["resources"]["requests"]["cpu"] == "2"  # the catalog's; 500m is the least
    assert (engine["resources"]["requests"]["memory"], engine["resources"]["limits"]["memory"]) == ("1216Mi", "4Gi")
    assert engine["livenessProbe"]["periodSeconds"] == 10
    assert seen.init("gateway")["readinessProbe"]["periodSeconds"] == 5


def test_pulled_files_are_written_by_the_gateway_and_read_by_the_engine(preview: Previews) -> None:
    seen = preview("node-local", PULLS)
    assert (_mounts(seen.engine())["/models"], _mounts(seen.init("gateway"))["/models"]) == (True, False)
    assert _mounts(seen.init("gateway"))["/run/secrets/larder/api"]
    assert "/run/secrets/larder/api" not in _mounts(seen.engine())
    volumes = {volume["name"]: volume for volume in seen.pod()["volumes"]}
    assert volumes["pulled"]["emptyDir"] == {"sizeLimit": "20Gi"}
    assert volumes["api-token"]["secret"]["secretName"] == "larder-api-token"
    assert seen.engine()["args"][-2:] == ["--models-dir", "/models"]
    gateway = _gateway(seen, "larder-gateway-shimmy")
    pulls = gateway.pulls
    assert pulls is not None
    assert (pulls.endpoint, gateway.auth.token_file) == ("https://huggingface.co", "/run/secrets/larder/api/token")
    egress = seen.one("NetworkPolicy", "larder-shimmy").inputs["spec"]["egress"]
    assert {"ports": [{"port": 443, "protocol": "TCP"}]} in egress  # though the weights are on the node


def test_pulled_files_may_have_a_claim_that_one_node_has_at_a_time(preview: Previews) -> None:
    block = {"pool": "cpu", "pulls": {"claim": "kept", "hub-secret": "hub"}}
    two = {"larder:node-pools": {"cpu": {"hosts": ["larder", "other"]}}}
    seen = preview("none", {**ALONE, **two, "larder:shimmy": block})
    volumes = {volume["name"]: volume for volume in seen.pod()["volumes"]}
    assert volumes["pulled"]["persistentVolumeClaim"] == {"claimName": "kept"}
    assert volumes["hub-token"]["secret"]["secretName"] == "hub"
    strategy = seen.one("Deployment").inputs["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


@pytest.mark.parametrize("strategy", [name for name in OF_DEV if name != "prebuilt-image"])
def test_every_strategy_brings_the_store_that_it_reads(preview: Previews, strategy: str) -> None:
    assert _mounts(preview(strategy, ALONE).engine()).keys() & {"/weights/ollama", "/weights"}


def test_open_mutations_need_no_token_for_a_pull(preview: Previews) -> None:
    seen = preview("none", {**PULLS, "larder:gateway": {"auth": {"mutations": "open"}}})
    assert "api-token" not in {volume["name"] for volume in seen.pod()["volumes"]}
    gateway = _gateway(seen, "larder-gateway-shimmy")
    assert gateway.pulls
    assert (gateway.auth.mutations, gateway.auth.token_file) == ("open", None)


def test_alone_it_is_the_entry_and_with_another_stack_it_is_behind_the_front(preview: Previews) -> None:
    for overlay, behind in ((ALONE, "shimmy"), (BESIDE, "front")):
        seen = preview("none", overlay)
        assert seen.one("Service", "larder").inputs["spec"]["selector"]["app.kubernetes.io/name"] == behind
    assert seen.one("Service", "shimmy").inputs["spec"]["selector"]["app.kubernetes.io/name"] == "shimmy"
    front = GatewayConfig.from_json(seen.one("ConfigMap", "larder-front").inputs["data"]["gateway.json"])
    assert [(e.name, e.kind, e.url, e.models) for e in front.engines] == [
        ("ollama", "gateway", "http://ollama", ["tinyllama-1.1b-chat"]),
        ("shimmy", "gateway", "http://shimmy", ["tiny-random"]),
    ]
    assert _gateway(seen, "larder-gateway-shimmy").place == "behind"
    (clients, _) = seen.one("NetworkPolicy", "larder-shimmy").inputs["spec"]["ingress"]
    assert clients["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "front"
    egress = seen.one("NetworkPolicy", "larder-front").inputs["spec"]["egress"]
    reached = [rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for rule in egress if "to" in rule]
    assert reached == ["ollama", "shimmy"]


def test_names_of_two_stacks_differ(preview: Previews) -> None:
    both, alone = preview("none", BESIDE), preview("none", ALONE)
    assert {"Deployment ollama", "Deployment shimmy", "Service ollama", "Service shimmy"} <= both.named().keys()
    ids = {name: [model.id for model in _gateway(both, name).models] for name in GATEWAYS}
    assert ids == {"larder-gateway": ["tinyllama-1.1b-chat"], "larder-gateway-shimmy": ["tiny-random"]}
    # What a stack's own objects are called does not depend on the stacks beside it.
    assert {n for n in alone.named() if "gateway" in n} <= both.named().keys()


@pytest.mark.parametrize("read", ["copy", "direct"])
def test_two_stacks_read_one_share_that_one_job_has_filled(preview: Previews, read: str) -> None:
    seen = preview("shared-storage", {**BESIDE, "larder:cache": {"shared-storage": {"read": read}}})
    populate = seen.one("Job", "populate-shared-")
    for stack in ("ollama", "shimmy"):
        deployment, pod = seen.one("Deployment", stack), seen.pod("Deployment", stack)
        (share,) = [volume for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
        assert share["persistentVolumeClaim"]["claimName"] == _claim(populate)
        containers = [*pod["initContainers"], *pod["containers"]]
        mounts = [mount for one in containers for mount in one["volumeMounts"] if mount["name"] == share["name"]]
        assert mounts
        assert all(mount["readOnly"] for mount in mounts)
        assert deployment.inputs["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert populate.urn in deployment.dependencies


def _claim(job: Registered) -> str:
    volumes = job.inputs["spec"]["template"]["spec"]["volumes"]
    (claim,) = [volume["persistentVolumeClaim"] for volume in volumes if "persistentVolumeClaim" in volume]
    return str(claim["claimName"])


GATEWAYS = ("larder-gateway", "larder-gateway-shimmy")


def test_its_pod_meets_the_rules_for_every_pod(preview: Previews) -> None:
    for name, pod in preview("none", PULLS).pods().items():
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["securityContext"]["readOnlyRootFilesystem"], name
            assert container["resources"]["limits"].keys() == {"memory"}, name
        assert pod["securityContext"]["runAsNonRoot"], name
