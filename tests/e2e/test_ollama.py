"""`make up` on the embedded cluster: the deployed endpoint answers, and deploying twice changes nothing."""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, Platform

pytestmark = pytest.mark.timeout(3600)


def test_the_endpoint_answers_with_the_model_that_was_asked_for(platform: Platform) -> None:
    with urllib.request.urlopen(platform.chat(), timeout=60) as answer:
        body = json.load(answer)
        assert answer.headers["x-larder-model"] == "tiny-random"
    assert body["choices"][0]["message"]["content"]


def test_a_stream_arrives_in_pieces_and_ends_with_done(platform: Platform) -> None:
    with urllib.request.urlopen(platform.chat(stream=True), timeout=60) as answer:
        lines = [line for line in answer.read().decode().split("\n") if line]
    assert len(lines) > 3
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"


def test_a_long_document_goes_through_the_gateway_of_the_image(platform: Platform) -> None:
    """Its interpreter is older than that of the tests. Ollama passes over what it does not know, such as a `note`."""
    long = "some words of a longer document " * 4000
    for note in (long, [{"text": long}, "and more"]):
        with urllib.request.urlopen(platform.chat(model="auto", note=note), timeout=60) as answer:
            assert json.load(answer)["choices"]


def test_models_are_listed_under_their_catalog_ids(platform: Platform) -> None:
    with urllib.request.urlopen(f"{platform.url}/v1/models", timeout=10) as answer:
        assert [m["id"] for m in json.load(answer)["data"]] == ["tiny-random"]


def test_the_engine_refuses_what_the_policies_refuse(platform: Platform, tmp_path: Path) -> None:
    """As a person does it who has sourced .larder/env: another stack than dev, the pack that `make up` uses."""

    def pulumi(command: str) -> tuple[int, str]:
        # Without a cluster: what the running stack has is no part of the question.
        script = f'. "$LARDER_STATE/env"; KUBECONFIG=/nowhere exec pulumi {command} --non-interactive'
        done = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        return done.returncode, done.stdout + done.stderr

    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    file = tmp_path / "Pulumi.shared.yaml"
    file.write_text((ROOT / "Pulumi.dev.yaml").read_text() + "  larder:gateway: {auth: {mutations: open}}\n")
    assert pulumi(f"stack init shared --secrets-provider=passphrase --cwd={tmp_path}")[0] == 0
    code, told = pulumi(f"preview --stack=shared --config-file={file} --policy-pack=policies")
    assert code != 0
    assert "[mandatory]  closed-mutations  (kubernetes:core/v1:ConfigMap: gateway.json)" in told


def test_a_second_up_changes_nothing_within_a_minute(platform: Platform) -> None:
    started = time.monotonic()
    output = platform.make("up")
    assert "Nothing changed." in output
    assert time.monotonic() - started < 60


def test_a_rule_reaches_the_gateway_that_runs(platform: Platform) -> None:
    def pod() -> dict[str, Any]:
        (found,) = platform.get("pods", "-l", "app.kubernetes.io/name=ollama")["items"]
        return dict(found["metadata"])

    def rule() -> str:
        with urllib.request.urlopen(platform.chat(model="auto"), timeout=60) as answer:
            return str(answer.headers["x-larder-rule"])

    before, file = pod(), Path(os.environ["LARDER_STACKS"], "Pulumi.dev.yaml")
    text = file.read_text()
    assert rule() == "default"
    try:
        block = "{routing: {rules: [{name: greeting, pattern: ^hi$, model: tiny-random}]}}"
        file.write_text(f"{text.rstrip()}\n  larder:gateway: {block}\n")
        platform.make("up")
        # The kubelet renews what is mounted when it looks at the pod, which it would do within a minute anyway.
        platform.kubectl("-n", "ai", "annotate", "pod", before["name"], "larder/looked-at=now")
        platform.until(lambda: "yes" if rule() == "greeting" else "", within=120)
        assert pod()["uid"] == before["uid"]
    finally:
        file.write_text(text)
        platform.make("up")


def test_every_container_runs_as_nobody_special_on_a_read_only_root(platform: Platform) -> None:
    pods = platform.get("pods", "-l", "app.kubernetes.io/name=ollama")["items"]
    assert pods
    for pod in pods:
        spec = pod["spec"]
        for container in [*spec["initContainers"], *spec["containers"]]:
            asked = container["securityContext"]
            assert asked["readOnlyRootFilesystem"]
            assert asked["capabilities"] == {"drop": ["ALL"]}
            assert asked.get("runAsNonRoot") or spec["securityContext"]["runAsNonRoot"]
        who = platform.kubectl("-n", "ai", "exec", pod["metadata"]["name"], "-c", "gateway", "--", "id", "-u")
        assert who.strip() == "1000"


def test_a_deleted_pod_is_replaced_and_serves_again(platform: Platform) -> None:
    platform.kubectl("-n", "ai", "delete", "pod", "-l", "app.kubernetes.io/name=ollama", "--wait=true")
    platform.kubectl("-n", "ai", "rollout", "status", "deployment/ollama", "--timeout=120s")
    assert "choices" in platform.serves()


def test_a_hub_that_refuses_is_named_in_the_termination_message(platform: Platform) -> None:
    """The deployed init container with a plan whose revision the hub does not have."""
    (pod,) = platform.get("pods", "-l", "app.kubernetes.io/name=ollama")["items"]
    (weights,) = (
        v for v in pod["spec"]["volumes"] if v.get("configMap", {}).get("name", "").startswith("larder-weights")
    )
    plan = platform.get(f"configmap/{weights['configMap']['name']}")["data"]["weights.json"]
    refused = {"name": "refused", "namespace": "ai"}
    weights["configMap"]["name"] = "refused"
    (fetch,) = (c for c in pod["spec"]["initContainers"] if c["name"] == "fetch")
    spec = {key: pod["spec"][key] for key in ("securityContext", "volumes", "automountServiceAccountToken")}
    platform.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": refused,
            "data": {"weights.json": unknown_revision(plan)},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": refused,
            "spec": {**spec, "containers": [fetch], "restartPolicy": "Never"},
        },
    )
    try:
        reason = platform.until(lambda: platform.terminated("refused"), within=60)
        assert "revision" in reason
    finally:
        platform.kubectl("-n", "ai", "delete", "pod/refused", "configmap/refused", "--wait=false")


def unknown_revision(plan: str) -> str:
    changed = json.loads(plan)
    for model in changed["models"]:
        for file in model["files"]:
            file["url"] = file["url"].replace(file["revision"], "f" * 40)
            file["revision"] = "f" * 40
    return json.dumps(changed)
