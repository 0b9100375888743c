"""The model manager: its role, its volumes, and its secrets, which stay encrypted."""

from collections.abc import Callable
from typing import Any

import pytest
from larder_sidecar.config.manager import ManagerConfig

from preview import properties
from tests.program.previews import IMAGES, Preview
from tests.program.test_security import _containers, _open_texts

Previews = Callable[..., Preview]
TOKEN = "hunter2-hunter2-hunter2"
MANAGER: dict[str, Any] = {
    "larder:manager": {
        "catalog": {"repo": "https://git.example/team/catalog"},
        "inference": {"storage-uri": "pvc://venus-model-storage/{id}"},
        "state": {"node": "larder", "path": "/var/lib/larder/manager", "size": "1Gi", "prepare-path": True},
    },
}
KEY = "larder:api-token"


@pytest.fixture
def seen(preview: Previews) -> Preview:
    return preview("none", {**MANAGER, KEY: TOKEN}, secrets=frozenset({KEY}))


def test_without_its_block_there_is_no_manager(preview: Previews) -> None:
    assert [name for name in preview("none").named() if "manager" in name or "Secret" in name] == []


def test_the_token_is_secret_everywhere(seen: Preview) -> None:
    secret = seen.one("Secret", "larder-api-token").inputs["stringData"]
    assert isinstance(secret, properties.Secret) or isinstance(secret["token"], properties.Secret)
    told = [*(r.inputs for r in seen.recording.resources), seen.recording.outputs]
    assert not [text for text in _open_texts(told) if TOKEN in text]
    assert not [text for _, text in seen.recording.messages if TOKEN in text]


def test_an_existing_secret_is_mounted_and_none_is_made(preview: Previews) -> None:
    theirs = {**MANAGER, "larder:manager": {**MANAGER["larder:manager"], "api-token": {"secret": "mine"}}}
    seen = preview("none", theirs)
    assert seen.all("Secret") == []
    volumes = {v["name"]: v for v in seen.pod("Deployment", "larder-manager")["volumes"]}
    assert volumes["api-token"]["secret"] == {"secretName": "mine"}


RBAC = [
    (["serving.kserve.io"], ["inferenceservices"], ["active-llm"], ["get", "patch"]),
    (["serving.kserve.io"], ["inferenceservices"], None, ["create"]),
    ([""], ["pods", "events"], None, ["list"]),
]


def test_it_may_change_its_one_inference_service_and_read_why_it_is_not_ready(seen: Preview) -> None:
    rules = seen.one("Role", "larder-manager").inputs["rules"]
    assert [(r["apiGroups"], r["resources"], r.get("resourceNames"), r["verbs"]) for r in rules] == RBAC
    binding = seen.one("RoleBinding", "larder-manager").inputs
    assert binding["roleRef"]["name"] == "larder-manager"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "larder-manager", "namespace": "ai"}]
    assert not seen.all("ClusterRole") + seen.all("ClusterRoleBinding")


def test_only_the_manager_itself_has_the_account_and_the_token(seen: Preview) -> None:
    pod = seen.pod("Deployment", "larder-manager")
    assert pod["automountServiceAccountToken"] is False
    (git_sync,), (manager,) = pod["initContainers"], pod["containers"]
    names = [{mount["name"] for mount in container["volumeMounts"]} for container in (git_sync, manager)]
    assert names == [{"catalog", "tmp"}, {"manager-config", "api-token", "service-account", "catalog", "state", "tmp"}]
    writable = [m["name"] for m in manager["volumeMounts"] if not m.get("readOnly")]
    assert writable == ["state", "tmp"]


def test_git_sync_is_a_native_sidecar_that_retries_without_end(seen: Preview) -> None:
    (git_sync,) = seen.pod("Deployment", "larder-manager")["initContainers"]
    assert (git_sync["image"], git_sync["restartPolicy"]) == (IMAGES["git-sync"], "Always")
    assert git_sync["args"] == [
        "--repo=https://git.example/team/catalog", "--ref=HEAD", "--period=60s", "--root=/catalog", "--link=current",
        "--submodules=off", "--max-failures=-1", "--stale-worktree-timeout=2m",
    ]  # fmt: skip


def test_a_private_repository_is_read_with_a_secret_that_no_argument_holds(preview: Previews) -> None:
    block = MANAGER["larder:manager"]
    private = {**block, "api-token": {"secret": "mine"}, "catalog": {**block["catalog"], "secret": "git"}}
    (git_sync,) = preview("none", {**MANAGER, "larder:manager": private}).pod("Deployment", "larder-manager")[
        "initContainers"
    ]
    assert "--password-file=/etc/git-secret/token" in git_sync["args"]
    assert {"name": "GITSYNC_USERNAME", "valueFrom": {"secretKeyRef": {"name": "git", "key": "username"}}} in git_sync[
        "env"
    ]


def test_the_old_pod_ends_before_the_new_one_starts(seen: Preview) -> None:
    spec = seen.one("Deployment", "larder-manager").inputs["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    claim = seen.one("PersistentVolumeClaim", "model-manager-state")
    assert claim.inputs["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim.protect


def test_it_and_the_job_that_makes_its_folder_tolerate_the_taints_of_their_node(preview: Previews) -> None:
    taint = {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}
    pools = {"larder:node-pools": {"cpu": {"taints": ["team=ml:NoSchedule"]}}}
    seen = preview("none", {**MANAGER, **pools, KEY: TOKEN}, secrets=frozenset({KEY}))
    for wanted in (("Deployment", "larder-manager"), ("Job", "manager-state-prepare-path")):
        assert seen.pod(*wanted)["tolerations"] == [taint], wanted


def test_its_file_is_valid_and_its_paths_are_mounted(seen: Preview) -> None:
    config = ManagerConfig.from_json(seen.one("ConfigMap", "larder-manager").inputs["data"]["manager.json"])
    service = config.inference_service
    assert (service.namespace, service.name) == ("ai", "active-llm")
    assert service.annotations["serving.kserve.io/deploymentMode"] == "Standard"
    (manager,) = seen.pod("Deployment", "larder-manager")["containers"]
    places = {mount["mountPath"] for mount in manager["volumeMounts"]}
    used = (config.token_file.parent, config.state, config.catalog.link.parent, config.api.token_file.parent)
    assert {str(place) for place in used} <= places


def test_a_model_may_take_as_long_as_its_bytes_need_at_the_slowest_download(seen: Preview) -> None:
    config = ManagerConfig.from_json(seen.one("ConfigMap", "larder-manager").inputs["data"]["manager.json"])
    assert config.ready_seconds(20 * 2**20 * 60) == 60 + 120


def test_every_container_of_it_keeps_the_restricted_standard(seen: Preview) -> None:
    for name, container in _containers(seen):
        assert container["securityContext"]["readOnlyRootFilesystem"], name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert container["resources"]["limits"].keys() == {"memory"}, name


def test_it_reaches_names_the_repository_and_the_api_server(seen: Preview) -> None:
    spec = seen.one("NetworkPolicy", "larder-manager").inputs["spec"]
    assert [[p["port"] for p in rule["ports"]] for rule in spec["egress"]] == [[53, 53, 5353, 5353], [443, 6443]]
    assert [rule["ports"][0]["port"] for rule in spec["ingress"]] == [8080, 9090]


@pytest.mark.parametrize("unknowns", [False, True])
def test_it_previews_with_and_without_unknowns(preview: Previews, unknowns: bool) -> None:
    seen = preview("node-local", {**MANAGER, KEY: TOKEN}, secrets=frozenset({KEY}), unknowns=unknowns)
    assert "Deployment larder-manager" in seen.named()
    known = preview("node-local", {**MANAGER, KEY: TOKEN}, secrets=frozenset({KEY}))
    assert seen.named().keys() == known.named().keys()
