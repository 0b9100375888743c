"""Every rule, with valid and invalid objects."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from components.settings import base
from policies import access
from policies.rule import Resource
from policies.rules import RULES, judge
from tests.policies.samples import (
    DIGEST,
    GATEWAY,
    OLLAMA,
    ON_ONE_NODE,
    SECURE,
    claim,
    config_map,
    container,
    deployment,
    engine,
    gateway_file,
    job,
    mounting,
    network_policy,
    resource,
    runtime,
    service,
    volume,
)

STARTS_OLLAMA = ["/bin/sh", "-c", "cd / && exec /bin/ollama serve"]
IN_ARGUMENTS: Any = {"command": ["/bin/sh"], "args": ["-c", "exec /bin/ollama serve"]}
HIDDEN = container("x", image=f"a/ollama@{DIGEST}", command=["/bin/sh", "-c", "exec /bin/oll''ama serve"])
FRONT = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "larder-front"}}}
GONE: Any = {"maxSurge": 0, "maxUnavailable": 1}
GPU = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi", "amd.com/gpu": "1"}}

KEPT: dict[str, list[list[Resource]]] = {
    "pinned-images": [
        [deployment()],
        [deployment({"volumes": [{"name": "w", "image": {"reference": f"weights@{DIGEST}"}}]})],
        [runtime(), service()],
    ],
    "no-plain-secrets": [
        [engine(env=[*OLLAMA["env"], {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub"}}}])],
        [engine(env=[*OLLAMA["env"], {"name": "API_TOKEN_FILE", "value": "/run/secrets/larder/token"}])],
        [engine(env=[*OLLAMA["env"], {"name": "MAX_TOKENS", "value": "4096"}])],
        [config_map(file='{"api-token": "/run/secrets/larder/token", "secret": "larder-api-token", "tokens": "9"}')],
        [config_map(file='{"url": "https://huggingface.co/org/tokenizer", "sha256": "' + "a" * 64 + '"}')],
    ],
    "gateway-first": [
        [deployment()],
        [resource("apps/v1:Deployment", "front", {"spec": {"template": {"spec": {"containers": [GATEWAY]}}}})],
        [deployment({"containers": [container("shimmy", args=["serve", "--bind", "127.0.0.1:8081"])]})],
        [deployment({"containers": [container("engine", command=["/bin/llama-server", "--host=localhost"])]})],
        # A script in an engine's image that looks for something, and starts nothing.
        [job(image=f"a/ollama@{DIGEST}", command=["/bin/sh", "-c", "test -r /weights/ollama/.larder/x.json"])],
    ],
    "front-first": [[service(), network_policy(FRONT)], [deployment()]],
    "restricted-containers": [[deployment()], [runtime(), service()]],
    "stated-resources": [[deployment()], [runtime(), service()]],
    "no-impossible-overlap": [
        [claim(), deployment(mounting(nodeSelector=ON_ONE_NODE))],
        [claim(), deployment(mounting(), strategy={"type": "Recreate"})],
        [claim(), deployment(mounting(), strategy={"type": "RollingUpdate", "rollingUpdate": GONE})],
        [claim("ReadWriteMany"), deployment(mounting())],
        [deployment(mounting())],  # a claim that is not of this stack
        [deployment({"containers": [{**OLLAMA, "resources": GPU}]})],
        [service({"resources": GPU}, nodeSelector=ON_ONE_NODE, deploymentStrategy={"type": "Recreate"})],
    ],
    "protected-data": [[volume(), claim()], [deployment()]],
    "closed-mutations": [
        [config_map(file=gateway_file("token"))],
        [config_map("dev", file=gateway_file("open"))],
        [config_map(file="auth: {mutations: open}, which is no JSON")],
    ],
}

BROKEN: dict[str, list[tuple[str, list[Resource]]]] = {
    "pinned-images": [
        ("template.spec.containers[ollama].image: 'ollama:latest'", [engine(image="ollama:latest")]),
        ("initContainers[gateway].image", [deployment({"initContainers": [{**GATEWAY, "image": "x@sha256:12"}]})]),
        ("volumes[w].image.reference", [deployment({"volumes": [{"name": "w", "image": {"reference": "weights:1"}}]})]),
        ("spec.containers[vllm].image: 'vllm:latest'", [runtime(image="vllm:latest")]),
        ("spec.predictor.model.image: 'vllm:latest'", [service({"image": "vllm:latest"})]),
    ],
    "no-plain-secrets": [
        ("env[HF_TOKEN]: is a secret", [engine(env=[{"name": "HF_TOKEN", "value": "hunter2"}])]),
        ("env[MIRROR]", [engine(env=[{"name": "MIRROR", "value": "https://me:hunter2@mirror"}])]),
        (".args: holds", [engine(args=["--key", "hf_" + "hunter2" * 5])]),
        ("data[manager.json]: holds", [config_map(**{"manager.json": '{"a": [{"apiToken": "hunter2"}]}'})]),
        ("data[password]: holds", [config_map(password="hunter2")]),
        ("data[key]: holds", [config_map(key="-----BEGIN RSA PRIVATE KEY-----\nhunter2")]),
    ],
    "gateway-first": [
        ("no gateway runs in the pod of ollama", [deployment({"initContainers": []})]),
        ("no gateway runs in the pod of", [deployment({"initContainers": [{**GATEWAY, "restartPolicy": None}]})]),
        ("OLLAMA_HOST is not set", [engine(env=[])]),
        ("OLLAMA_HOST is '0.0.0.0:11434'", [engine(env=[{"name": "OLLAMA_HOST", "value": "0.0.0.0:11434"}])]),
        ("ports: ollama offers a port", [engine(ports=[{"containerPort": 11434}])]),
        ("--host is not set", [deployment({"containers": [container("x", command=["llama-server"])]})]),
        ("OLLAMA_HOST is not set", [deployment({"containers": [container("x", command=STARTS_OLLAMA)]})]),
        (
            "OLLAMA_HOST is not set",
            [deployment({"containers": [container("x", command=["sh", "-ec", "ollama serve"])]})],
        ),
        ("OLLAMA_HOST is not set", [deployment({"containers": [container("x", **IN_ARGUMENTS)]})]),
        # A script that does not say what it starts, in an image that does.
        ("OLLAMA_HOST is not set", [deployment({"containers": [HIDDEN]})]),
        ("no gateway runs in the pod of ollama", [job(env=OLLAMA["env"], command=STARTS_OLLAMA)]),
        ("--bind is 'auto'", [engine(image=f"a/shimmy@{DIGEST}", args=["serve", "--bind", "auto"])]),
    ],
    "front-first": [
        ("no NetworkPolicy restricts", [service()]),
        ("no NetworkPolicy restricts", [service(), network_policy(FRONT, "another")]),
        ("no NetworkPolicy restricts", [service(), network_policy(None)]),
        ("no NetworkPolicy restricts", [service(), network_policy(FRONT), network_policy(None)]),
        ("no NetworkPolicy restricts", [service(), network_policy({"podSelector": {}})]),
        ("no NetworkPolicy restricts", [service(), network_policy({"namespaceSelector": {}})]),
    ],
    "restricted-containers": [
        ("spec.predictor.model.securityContext: does not state runAs", [service(securityContext={})]),
        ("does not state readOnlyRootFilesystem: true", [runtime(securityContext={})]),
        ("runAsNonRoot: true", [engine(securityContext={**SECURE, "runAsNonRoot": False})]),
        ("readOnlyRootFilesystem: true", [engine(securityContext={**SECURE, "readOnlyRootFilesystem": False})]),
        ("allowPrivilegeEscalation: false", [engine(securityContext={"runAsNonRoot": True})]),
        ("drop: [ALL]", [engine(securityContext={**SECURE, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}})]),
        ("runAsUser other than 0", [deployment({"securityContext": {"runAsUser": 0}, "initContainers": []})]),
        ("privileged: false", [engine(securityContext={**SECURE, "privileged": True})]),
        ("hostNetwork: shares", [deployment({"hostNetwork": True})]),
        (
            "jobTemplate.spec.template.spec.containers[gc]",
            [
                resource(
                    "batch/v1:CronJob",
                    "gc",
                    {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "gc"}]}}}}}},
                )
            ],
        ),
    ],
    "stated-resources": [
        ("does not state limits.memory", [engine(resources={"requests": {"cpu": "1", "memory": "1Gi"}})]),
        ("does not state requests.cpu, requests.memory, limits.memory", [engine(resources=None)]),
        ("spec.predictor.model.resources", [runtime(), service({"resources": {}})]),
    ],
    "no-impossible-overlap": [
        ("claim weights is ReadWriteOnce, so", [claim(), deployment(mounting())]),
        (
            "claim weights is ReadWriteOncePod",
            [claim("ReadWriteOncePod"), deployment(mounting(nodeSelector=ON_ONE_NODE))],
        ),
        (
            "spec.predictor.model.resources.limits[amd.com/gpu]",
            [service({"resources": GPU}, nodeSelector=ON_ONE_NODE)],
        ),
        (
            "limits[amd.com/gpu]",
            [deployment({"nodeSelector": ON_ONE_NODE, "containers": [{**OLLAMA, "resources": GPU}]})],
        ),
    ],
    "protected-data": [
        ("is not protected", [volume(protect=False)]),
        ("is not protected", [claim(protect=False)]),
        ("persistentVolumeReclaimPolicy: 'Delete'", [volume(policy="Delete")]),
        ("persistentVolumeReclaimPolicy: ''", [resource("core/v1:PersistentVolume", "w", {"spec": {}}, protect=True)]),
    ],
    "closed-mutations": [
        ("data[gateway.json]: auth.mutations", [config_map(**{"gateway.json": gateway_file("open")})])
    ],
}


def _said(rule: str, resources: list[Resource]) -> list[str]:
    return [text for found, _, text in judge(resources) if found.name == rule]


@pytest.mark.parametrize(("rule", "resources"), [(rule, case) for rule, cases in KEPT.items() for case in cases])
def test_valid_objects_have_no_finding(rule: str, resources: list[Resource]) -> None:
    assert _said(rule, resources) == []


@pytest.mark.parametrize(
    ("rule", "text", "resources"), [(rule, *case) for rule, cases in BROKEN.items() for case in cases]
)
def test_a_finding_has_path_and_fix(rule: str, text: str, resources: list[Resource]) -> None:
    (said,) = _said(rule, resources)
    assert text in said
    assert said.count(". ") >= 1, "says what to do"
    assert said.endswith(".")
    assert "hunter2" not in said


def test_every_rule_has_valid_and_invalid_examples() -> None:
    names = [rule.name for rule in RULES]
    assert names == list(KEPT) == list(BROKEN)
    assert len(set(names)) == len(names)


def test_a_whole_stack_of_good_objects_has_no_finding() -> None:
    assert list(judge([volume(), claim(), deployment(mounting(nodeSelector=ON_ONE_NODE)), config_map()])) == []


def test_unknown_values_cause_no_finding() -> None:
    unknown = object()
    whole = {**OLLAMA, "image": unknown, "env": [{"name": "OLLAMA_HOST", "value": unknown}]}
    security = {"runAsNonRoot": unknown, "readOnlyRootFilesystem": unknown, "allowPrivilegeEscalation": unknown}
    seen = deployment({"containers": [{**whole, "securityContext": {**security, "capabilities": {"drop": unknown}}}]})
    assert list(judge([seen])) == []


def test_only_objects_of_the_cluster_are_checked() -> None:
    other = Resource(type="aws:ec2:Instance", name="x", stack="prod", props={"spec": {"containers": [{"name": "x"}]}})
    assert list(judge([other])) == []


def test_the_open_stack_is_the_one_that_settings_call_dev() -> None:
    assert access.DEV == base.DEV


ODD: list[Any] = [None, True, 3, "", "[[]]", [], [None], [[]], {}, {"name": None}, {"": {}}, object()]
FULL = mounting(
    nodeSelector=ON_ONE_NODE,
    affinity={
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["venus"]}]}
                ]
            }
        }
    },
)


def _variants(value: Any) -> Iterator[Any]:
    """Yield the value with an odd one in place of each of its parts, and of itself."""
    yield from ODD
    for key, item in (
        [*value.items()] if isinstance(value, dict) else [*enumerate(value)] if isinstance(value, list) else []
    ):
        for variant in _variants(item):
            copied = copy.copy(value)
            copied[key] = variant
            yield copied


@pytest.mark.parametrize(
    "good",
    [
        deployment(FULL, strategy={"rollingUpdate": GONE}),
        config_map(f=gateway_file("open")),
        volume(),
        claim(),
        service(),
        network_policy(FRONT),
    ],
)
def test_a_manifest_of_any_shape_can_be_checked(good: Resource) -> None:
    for props in _variants(good.props):
        if isinstance(props, dict):
            list(judge([claim(), replace(good, props=props)]))
