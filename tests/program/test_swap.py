"""One line swaps the strategy. The address, the path of weights and data volumes must not change."""

import subprocess
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.config.layout import STORE, marker_path

from tests.program.previews import OF_DEV, PREBUILT, Preview

Previews = Callable[..., Preview]
SWAPS = list(permutations(OF_DEV, 2))
swaps = pytest.mark.parametrize(("before", "after"), SWAPS)
DATA = {"PersistentVolume", "PersistentVolumeClaim", "StorageClass", "Namespace"}
each = pytest.mark.parametrize("strategy", OF_DEV)
MOUNTED = [strategy for strategy in OF_DEV if strategy != "prebuilt-image"]
"""Strategies that deliver weights in a volume. With the other one they are in the engine's read-only image."""


@swaps
def test_clients_never_notice_a_swap(preview: Previews, before: str, after: str) -> None:
    assert preview(before).one("Service", "larder").inputs == preview(after).one("Service", "larder").inputs


@swaps
def test_the_engine_reads_its_weights_at_the_same_path(preview: Previews, before: str, after: str) -> None:
    def engine(strategy: str) -> tuple[Any, ...]:
        container = preview(strategy).engine()
        inside = strategy not in MOUNTED
        image, store = (None, STORE) if inside else (container["image"], _store(container)[0])
        return (
            image or preview("none").engine()["image"],
            container["args"],
            container["env"],
            container["resources"],
            store,
        )

    assert engine(before) == engine(after)


@swaps
def test_a_volume_that_changes_its_kind_changes_its_name(preview: Previews, before: str, after: str) -> None:
    kinds: dict[str, set[str]] = {}
    for strategy in (before, after):
        for volume in preview(strategy).pod()["volumes"]:
            kinds.setdefault(volume["name"], set()).update(volume.keys() - {"name"})
    assert {name: kind for name, kind in kinds.items() if len(kind) > 1} == {}
    assert {f"weights-{strategy}" for strategy in (before, after) if strategy in MOUNTED} <= kinds.keys()


@swaps
def test_data_stays_as_it_is(preview: Previews, before: str, after: str) -> None:
    def data(strategy: str) -> dict[str, tuple[str, Any]]:
        return {name: (r.urn, r.inputs) for name, r in preview(strategy).named().items() if name.split()[0] in DATA}

    assert data(before) == data(after)
    assert {name.split()[0] for name in data(before)} == DATA


@swaps
def test_objects_that_keep_their_names_keep_their_parents(preview: Previews, before: str, after: str) -> None:
    """Under another parent it would be a new resource, created while the old one still has the name."""
    one, other = preview(before).named(), preview(after).named()
    assert {n: one[n].urn for n in one.keys() & other.keys()} == {n: other[n].urn for n in one.keys() & other.keys()}


@each
def test_data_is_protected_and_outlives_its_removal(preview: Previews, strategy: str) -> None:
    kept = {n: r for n, r in preview(strategy).named().items() if n.split()[0] in DATA - {"StorageClass"}}
    assert kept
    for name, resource in kept.items():
        assert (resource.protect, resource.retain_on_delete) == (True, True), name


@pytest.mark.parametrize(("owner", "name"), [("larder-", "larder-"), ("ai-shared-", "shared-")])
def test_no_claim_of_others_takes_the_volume(preview: Previews, owner: str, name: str) -> None:
    claim, volume = preview("none").one("PersistentVolumeClaim", name), preview("none").one("PersistentVolume", owner)
    assert volume.inputs["spec"]["claimRef"] == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": claim.inputs["metadata"]["namespace"],
        "name": claim.inputs["metadata"]["name"],
    }


def test_another_size_changes_the_volume_and_not_the_bound_claim(preview: Previews) -> None:
    seen = preview("none", {"larder:cache": {"node-local": {"size": "40Gi"}}})
    assert seen.one("PersistentVolume", "larder-").inputs["spec"]["capacity"] == {"storage": "40Gi"}
    assert seen.one("PersistentVolumeClaim", "larder-").ignored == {"spec.resources"}


@each
def test_nothing_else_is_protected(preview: Previews, strategy: str) -> None:
    kept = {name.split()[0] for name, resource in preview(strategy).named().items() if resource.protect}
    assert kept == {"PersistentVolume", "PersistentVolumeClaim", "Namespace"}


def test_without_a_data_volume_a_destroy_leaves_nothing(preview: Previews) -> None:
    seen = preview("none", {"larder:cache": {"node-local": None, "shared-storage": None}})
    assert not any(resource.protect or resource.retain_on_delete for resource in seen.objects())


@each
def test_the_rollout_is_stated_in_full(preview: Previews, strategy: str) -> None:
    """A rollingUpdate that the API server defaulted has no owner, and stays after a change of the strategy."""
    assert preview(strategy).one("Deployment").inputs["spec"]["strategy"] in (
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    )


@pytest.mark.parametrize("strategy", MOUNTED)
def test_engines_never_write_weights(preview: Previews, strategy: str) -> None:
    path, mount = _store(preview(strategy).engine())
    assert path == STORE
    assert mount["readOnly"] is True


def test_under_none_each_pod_fetches_into_itself(preview: Previews) -> None:
    seen = preview("none")
    (volume,) = [v for v in seen.pod()["volumes"] if v["name"] == "weights-none"]
    # 10 % and 256 MiB beyond the weights: 668788096 bytes.
    assert volume["emptyDir"] == {"sizeLimit": "958Mi"}
    assert _store(seen.init("fetch"))[1].get("readOnly", False) is False
    assert "--wait" not in seen.init("fetch")["args"]
    assert seen.all("Job") == [seen.one("Job", "prepare-path-")]


def test_under_node_local_one_job_fetches_and_pods_wait(preview: Previews) -> None:
    seen = preview("node-local")
    job = seen.one("Job", "populate-")
    (writer,) = seen.pod("Job", "populate-")["containers"]
    assert _store(writer)[1]["subPath"] == "ollama"
    assert "readOnly" not in _store(writer)[1]
    assert "--wait" not in writer["args"]
    assert "--wait" in seen.init("fetch")["args"]
    assert _store(seen.init("fetch"))[1] == _store(seen.engine())[1]
    assert _store(seen.engine())[1]["subPath"] == "ollama"
    assert {job.urn, seen.one("ConfigMap", "larder-weights-").urn} <= seen.one("Deployment").dependencies
    assert {seen.one("PersistentVolumeClaim", "larder-").urn, seen.one("Job", "prepare-path-").urn} <= job.dependencies


def test_under_node_local_the_engine_runs_where_the_disk_is(preview: Previews) -> None:
    overlay = {"larder:node-pools": {"cpu": {"hosts": ["larder", "other"]}}}
    assert _hosts(preview("none", overlay)) == ["larder", "other"]
    assert _hosts(preview("node-local", overlay)) == ["larder"]
    assert preview("node-local", overlay).pod("Job", "populate-")["nodeSelector"] == {
        "kubernetes.io/hostname": "larder"
    }


def test_under_image_volume_a_job_checks_the_image_of_every_model_first(preview: Previews) -> None:
    seen = preview("image-volume", {"larder:models": ["tinyllama-1.1b-chat", "tiny-random"]})
    images = {v["name"]: v["image"] for v in seen.pod()["volumes"] if "image" in v}
    assert list(images.values()) == [
        {"reference": f"registry.example/weights/{model}@sha256:{'3' * 64}", "pullPolicy": "IfNotPresent"}
        for model in ("tinyllama-1.1b-chat", "tiny-random")
    ]
    job = seen.one("Job", "preflight-")
    (proof,) = seen.pod("Job", "preflight-")["containers"]
    for container in (proof, seen.init("fetch"), seen.engine()):
        mounted = {m["mountPath"]: m for m in container["volumeMounts"] if m["name"] in images}
        assert list(mounted) == ["/weights/tinyllama-1.1b-chat", "/weights/tiny-random"]
        assert all(mount["readOnly"] for mount in mounted.values())
    assert seen.init("fetch")["args"][-2:] == proof["args"][-2:] == ["--link", "/weights"]
    assert {job.urn, seen.one("ConfigMap", "larder-weights-").urn} <= seen.one("Deployment").dependencies


def test_another_image_of_the_weights_makes_a_new_preflight_job_and_pod(preview: Previews) -> None:
    reference = f"registry.example/other@sha256:{'4' * 64}"
    other = {"larder:cache": {"image-volume": {"images": {"tinyllama-1.1b-chat": reference}}}}
    before, after = preview("image-volume"), preview("image-volume", other)
    assert before.pod() != after.pod()
    assert before.one("Job", "preflight-").inputs != after.one("Job", "preflight-").inputs
    assert preview("none").pod() == preview("none", other).pod()


def test_under_prebuilt_image_the_engine_runs_the_image_and_a_job_in_it_finds_the_plan_first(preview: Previews) -> None:
    seen, image = preview("prebuilt-image"), PREBUILT["prebuilt-image"]["image"]
    engine = seen.engine()
    assert engine["image"] == image
    assert {"name": "OLLAMA_MODELS", "value": STORE} in engine["env"]
    assert {"name": "OLLAMA_NOPRUNE", "value": "1"} in engine["env"]
    assert [m for m in engine["volumeMounts"] if m["mountPath"].startswith("/weights")] == []
    assert [c["name"] for c in seen.pod()["initContainers"]] == ["gateway"]
    job, (proof,) = seen.one("Job", "preflight-"), seen.pod("Job", "preflight-")["containers"]
    assert proof["image"] == image
    (digest,) = (o["digest"] for o in [seen.recording.outputs["weights"]])
    assert proof["command"][-2:] == [f"{STORE}/{marker_path(digest)}", digest]
    assert job.inputs["spec"]["backoffLimit"] == 0
    assert job.urn in seen.one("Deployment").dependencies


def test_other_models_or_another_image_make_a_new_preflight_job(preview: Previews) -> None:
    one = preview("prebuilt-image").one("Job", "preflight-").inputs["metadata"]["name"]
    models = preview("prebuilt-image", {"larder:models": ["tinyllama-1.1b-chat", "tiny-random"]})
    image = preview("prebuilt-image", {"larder:cache": {"prebuilt-image": {"image": f"r.example/x@sha256:{'8' * 64}"}}})
    assert len({one, *(seen.one("Job", "preflight-").inputs["metadata"]["name"] for seen in (models, image))}) == 3


@pytest.mark.parametrize(("there", "status"), [(True, 0), (False, 1)])
def test_the_preflight_job_reports_missing_weights_and_the_fix(
    preview: Previews, tmp_path: Path, there: bool, status: int
) -> None:
    (proof,) = preview("prebuilt-image").pod("Job", "preflight-")["containers"]
    *command, _, digest = proof["command"]
    if there:
        (tmp_path / "marker").write_text("{}")
    done = subprocess.run([*command, tmp_path / "marker", digest], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert ("larder-sidecar publish --engine" in done.stdout) is not there


def test_under_shared_storage_one_job_fetches_and_each_pod_copies_verified(preview: Previews) -> None:
    seen = preview("shared-storage")
    (writer,) = seen.pod("Job", "populate-shared-")["containers"]
    assert _shared(writer) == {"name": "share-shared-storage", "mountPath": "/weights"}
    assert "nodeSelector" not in seen.pod("Job", "populate-shared-")
    assert seen.init("fetch")["args"][-4:-1] == ["--copy-from", "/shared/ollama", "--wait"]
    assert _shared(seen.init("fetch")) == {"name": "share-shared-storage", "mountPath": "/shared", "readOnly": True}
    assert _shared(seen.engine()) is None
    assert seen.one("Job", "populate-shared-").urn in seen.one("Deployment").dependencies


def test_read_directly_the_share_is_the_store_and_nothing_is_mapped(preview: Previews) -> None:
    seen = preview("shared-storage", {"larder:cache": {"shared-storage": {"read": "direct"}}})
    share = {"name": "share-shared-storage", "mountPath": "/weights", "readOnly": True}
    assert _shared(seen.engine()) == _shared(seen.init("fetch")) == share
    assert {"name": "OLLAMA_MODELS", "value": f"{share['mountPath']}/ollama"} in seen.engine()["env"]
    assert seen.init("fetch")["args"][3:5] == ["--root", f"{share['mountPath']}/ollama"]
    env = {variable["name"]: variable["value"] for variable in seen.engine()["env"]}
    assert env["LLAMA_ARG_LOAD_MODE"] == "none"
    assert "LLAMA_ARG_LOAD_MODE" not in {v["name"] for v in preview("shared-storage").engine()["env"]}


def test_a_storage_class_provides_the_volume_where_no_server_is_named(preview: Previews) -> None:
    block = {"nfs": None, "storage-class": "efs"}
    seen = preview("shared-storage", {"larder:cache": {"shared-storage": block}})
    claim = seen.one("PersistentVolumeClaim", "shared-")
    assert claim.inputs["spec"]["storageClassName"] == "efs"
    assert claim.inputs["spec"]["accessModes"] == ["ReadWriteMany"]
    assert "volumeName" not in claim.inputs["spec"]
    assert claim.ignored == set()  # classes may let a claim grow
    assert [r.inputs["metadata"]["name"] for r in seen.all("PersistentVolume")] == ["larder-model-storage"]


def test_an_nfs_export_is_a_volume_that_only_our_claim_takes(preview: Previews) -> None:
    seen = preview("shared-storage")
    volume, claim = seen.one("PersistentVolume", "ai-shared-"), seen.one("PersistentVolumeClaim", "shared-")
    assert volume.inputs["spec"]["nfs"] == {"server": "nas.example", "path": "/export/models"}
    assert claim.inputs["spec"]["volumeName"] == volume.inputs["metadata"]["name"]
    assert volume.inputs["spec"]["storageClassName"] == claim.inputs["spec"]["storageClassName"] == ""
    assert claim.ignored == {"spec.resources"}


def _shared(container: dict[str, Any]) -> dict[str, Any] | None:
    return next((m for m in container["volumeMounts"] if m["name"].startswith("share-")), None)


def _store(container: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    (mount,) = [m for m in container["volumeMounts"] if m["mountPath"] == STORE]
    return mount["mountPath"], mount


def _hosts(seen: Preview) -> list[str]:
    affinity = seen.pod()["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = affinity["nodeSelectorTerms"]
    (expression,) = term["matchExpressions"]
    return list(expression["values"])


def test_a_missing_storage_class_fails_the_preview(preview: Previews) -> None:
    block = {"nfs": None, "storage-class": "efs"}
    seen = preview("shared-storage", {"larder:cache": {"shared-storage": block}})
    assert seen.recording.needs == {"shared-storage.storage-class": "efs"}
    assert preview("none", {"larder:cache": {"shared-storage": block}}).recording.needs == {}


def test_a_claim_of_others_is_mounted_and_neither_made_nor_kept(preview: Previews) -> None:
    block = {"nfs": None, "claim": "team-models"}
    seen = preview("shared-storage", {"larder:cache": {"node-local": None, "shared-storage": block}})
    assert seen.recording.needs == {"shared-storage.claim": "ai/team-models"}
    assert seen.all("PersistentVolumeClaim") == seen.all("PersistentVolume") == []
    for pod in (seen.pod(), seen.pod("Job", "populate-shared-")):
        (share,) = [v for v in pod["volumes"] if v["name"] == "share-shared-storage"]
        assert share["persistentVolumeClaim"] == {"claimName": "team-models"}


@pytest.mark.parametrize(("strategy", "asked"), [("none", "958Mi"), ("shared-storage", "958Mi"), ("node-local", None)])
def test_a_pod_with_its_own_copy_requests_disk_space(preview: Previews, strategy: str, asked: str | None) -> None:
    requests = preview(strategy).init("fetch")["resources"]["requests"]
    assert requests.get("ephemeral-storage") == asked
