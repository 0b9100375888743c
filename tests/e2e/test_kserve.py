"""The KServe stack on the real controller, a stand-in in vLLM's place, behind the front that leads to Ollama too."""

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.progress import CommandError
from testbed import packages
from tests.e2e.manager.deployment import Repository, forget_state, git_sync, pulumi, reached
from tests.e2e.manager.harness import TOKEN, Manager
from tests.program.previews import preview_of
from tests.program.test_kserve_cache import STACK as CACHED

from .conftest import Platform
from .load import Load

pytestmark = pytest.mark.timeout(3600)


class KServe:
    """Stack dev with a KServe stack beside Ollama."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.file = Path(os.environ["LARDER_STACKS"], "Pulumi.dev.yaml")
        self.before = self.file.read_text()

    def activate(self, active: str, *, ollama: str, strategy: str = "node-local") -> None:
        """Deploy with one model for each stack."""
        self.deploy(f"active: {active}", models=(ollama, active), strategy=strategy)

    def deploy(self, choice: str, *, models: tuple[str, str], more: str = "", strategy: str = "node-local") -> None:
        """Stack dev with KServe beside Ollama."""
        text = re.sub(r"(?m)^    strategy: \S+$", f"    strategy: {strategy}", self.before, count=1)
        text = re.sub(
            r"(?m)^    cpu: (.*)$", r"    cpu: \1\n    rocm: {hosts: [larder], accelerator: amd.com/gpu}", text, count=1
        )
        text = re.sub(r"(?m)^  larder:models: .*$", f"  larder:models: [{', '.join(models)}]", text, count=1)
        # What the default asks for is vLLM's; the stand-in is a llama-server with a tiny model.
        block = f"{{pool: rocm, {choice}, memory: 512Mi, cpu: 100m}}"
        self.file.write_text(f"{text.rstrip()}\n  larder:kserve: {block}\n{more}")
        self.platform.make("up")

    def chat(self, model: str) -> dict[str, Any]:
        """Wait for the answer of a model and return it: kube-proxy may lag behind."""

        def ask() -> str:
            try:
                with urllib.request.urlopen(self.platform.chat(model=model), timeout=60) as answer:
                    assert answer.headers["x-larder-model"] == model
                    return str(answer.read().decode())
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                return ""

        return dict(json.loads(self.platform.until(ask, within=30)))

    def refusal(self, model: str) -> str:
        """Return the code of the error; '' for an answer."""
        try:
            urllib.request.urlopen(self.platform.chat(model=model), timeout=60).close()
        except urllib.error.HTTPError as error:
            return str(json.load(error)["error"]["code"])
        return ""

    def service(self) -> dict[str, Any]:
        return dict(self.platform.get("inferenceservice/active-llm"))

    def predictors(self) -> list[dict[str, Any]]:
        label = "serving.kserve.io/inferenceservice=active-llm"
        return list(self.platform.get("pods", "-l", label)["items"])


@pytest.fixture(scope="module")
def kserve(platform: Platform) -> Iterator[KServe]:
    found = KServe(platform)
    try:
        found.activate("tiny-second", ollama="tiny-random")
        yield found
    finally:
        found.file.write_text(found.before)
    # The next suite finds the stack as it was; nothing of KServe stays behind in it.
    platform.make("up")
    assert not platform.get("inferenceservices")["items"]
    forget_state(platform)


def test_the_active_model_is_ready_under_the_name_of_old(kserve: KServe) -> None:
    service = kserve.service()
    ready = {c["type"]: c["status"] for c in service["status"]["conditions"]}
    assert ready["Ready"] == "True"
    assert service["spec"]["predictor"]["model"]["storageUri"] == "pvc://larder-model-storage/ollama/models/tiny-second"
    (pod,) = kserve.predictors()
    (container,) = pod["spec"]["containers"]
    assert container["name"] == "kserve-container"
    assert container["resources"]["limits"]["amd.com/gpu"] == "1"
    assert container["securityContext"]["readOnlyRootFilesystem"]


def test_no_autoscaler_is_made_for_one_replica(kserve: KServe) -> None:
    assert not kserve.platform.get("horizontalpodautoscalers")["items"]


def test_one_address_answers_for_the_models_of_both_stacks(kserve: KServe) -> None:
    for model in ("tiny-random", "tiny-second"):
        assert kserve.chat(model)["choices"][0]["message"]["content"]
    with urllib.request.urlopen(f"{kserve.platform.url}/v1/models", timeout=10) as listed:
        assert {m["id"] for m in json.load(listed)["data"]} == {"tiny-random", "tiny-second"}


def test_a_path_of_ollama_is_refused_for_a_model_of_vllm(kserve: KServe) -> None:
    body = json.dumps({"model": "tiny-second", "messages": []}).encode()
    request = urllib.request.Request(f"{kserve.platform.url}/api/chat", body, {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert "does not answer /api/chat" in json.load(refused.value)["error"]


def test_a_predictor_that_is_gone_costs_its_own_models_and_no_others(kserve: KServe) -> None:
    with Load(kserve.platform.url, "tiny-random", clients=2) as load:
        kserve.platform.kubectl("-n", "ai", "delete", "pod", "-l", "serving.kserve.io/inferenceservice=active-llm")
        assert kserve.chat("tiny-second")["choices"]
    assert load.failures == []
    assert load.answers > 0


def test_a_front_that_is_replaced_loses_no_request(kserve: KServe) -> None:
    with Load(kserve.platform.url, "tiny-random", clients=4) as load:
        kserve.platform.kubectl("-n", "ai", "rollout", "restart", "deployment/front")
        kserve.platform.kubectl("-n", "ai", "rollout", "status", "deployment/front", "--timeout=55s")
    assert load.failures == []
    assert load.answers > 0


def test_another_model_is_activated_with_the_one_gpu_there_is(kserve: KServe) -> None:
    (before,) = kserve.predictors()
    kserve.activate("tiny-random", ollama="tiny-second")
    (after,) = kserve.predictors()
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    service = kserve.service()
    assert service["status"]["observedGeneration"] == service["metadata"]["generation"]
    for model in ("tiny-random", "tiny-second"):
        assert kserve.chat(model)["choices"]


def test_an_image_of_the_weights_serves_as_the_volume_did(kserve: KServe) -> None:
    kserve.activate("tiny-random", ollama="tiny-second", strategy="image-volume")
    model = kserve.service()["spec"]["predictor"]["model"]
    assert model["storageUri"].startswith("oci+native://")
    (pod,) = kserve.predictors()
    (mount,) = (m for c in pod["spec"]["containers"] for m in c["volumeMounts"] if m["mountPath"] == "/mnt/models")
    (image,) = (v["image"]["reference"] for v in pod["spec"]["volumes"] if v["name"] == mount["name"])
    assert model["storageUri"] == f"oci+native://{image}"
    for name in ("tiny-random", "tiny-second"):
        assert kserve.chat(name)["choices"]


def _of_kserve(kind: str) -> list[dict[str, Any]]:
    group = "serving.kserve.io/v1alpha1"
    found = preview_of("kserve-cache", CACHED).all(kind)
    return [{"apiVersion": group, "kind": kind, **{k: r.inputs[k] for k in ("metadata", "spec")}} for r in found]


def test_the_api_server_takes_what_kserve_cache_declares_and_no_other_source_later(
    kserve: KServe, tmp_path: Path
) -> None:
    objects = [*_of_kserve("LocalModelNodeGroup"), *_of_kserve("LocalModelCache")]
    assert len(objects) == 3

    def apply(items: list[dict[str, Any]], *options: str) -> str:
        file = tmp_path / "objects.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        try:
            return kserve.platform.kubectl("apply", "--server-side", "--validate=strict", *options, "-f", str(file))
        except CommandError as error:
            return str(error)

    misspelt = [{**objects[0], "spec": {**objects[0]["spec"], "storageLimits": "1Gi"}}]
    assert "storageLimits" in apply(misspelt, "--dry-run=server")
    try:
        assert apply(objects).count("serverside-applied") == 3
        moved = [{**objects[1], "spec": {**objects[1]["spec"], "sourceModelUri": "hf://org/other"}}]
        assert "immutable" in apply(moved, "--dry-run=server")
    finally:
        for item in reversed(objects):
            kserve.platform.kubectl("delete", item["kind"], item["metadata"]["name"])


MANAGER = """
  larder:images: {{git-sync: {image}}}
  larder:manager:
    catalog: {{repo: "{repo}", period: 1s}}
    api-token: {{secret: model-manager-api-token}}
    state: {{node: larder, path: /var/lib/larder/manager, size: 1Gi, prepare-path: true}}
"""


@pytest.fixture
def managed(kserve: KServe, tmp_path: Path) -> Iterator[Manager]:
    """Deploy a manager, which chooses the model."""
    secret = ["-n", "ai", "create", "secret", "generic", "model-manager-api-token"]
    kserve.platform.kubectl(*secret, f"--from-literal=token={TOKEN}")
    packages.ensure("git")
    repository = Repository(tmp_path)
    repository.commit("tiny-second")
    with repository.served() as url:
        block = MANAGER.format(image=git_sync(kserve.platform), repo=url)
        kserve.deploy("models: [tiny-second]", models=("tiny-random", "tiny-second"), more=block)
        with reached(kserve.platform) as manager:
            yield manager
    # Made by the manager and not by the stack, so nobody else takes it away.
    kserve.platform.kubectl("-n", "ai", "delete", "inferenceservice", "active-llm")
    pulumi("state unprotect --all --yes --stack dev")


def test_the_manager_activates_what_the_stack_has_prepared(kserve: KServe, managed: Manager) -> None:
    assert not kserve.platform.get("inferenceservices")["items"]
    assert managed.activate("tiny-second").body == {"active": "tiny-second"}
    assert kserve.chat("tiny-second")["choices"]
    assert managed.ask("/models/deactivate", {}).status == 200
    # Stopped, says KServe, as soon as it has deleted the Deployment: the pod answers until it has ended.
    kserve.platform.until(lambda: "yes" if kserve.refusal("tiny-second") == "engine_unavailable" else "", within=90)
    assert kserve.chat("tiny-random")["choices"]
