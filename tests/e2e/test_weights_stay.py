"""Weights survive what happens around them: a wrong image, a deleted pod, a destroyed stack, a new cluster."""

import json
from pathlib import Path

import pytest

from preview.render import render, write
from testbed.cluster import cluster
from tests.program.previews import preview_of

from .conftest import Platform

pytestmark = pytest.mark.timeout(1800)


def test_an_image_that_is_not_the_models_is_refused_before_the_pod_that_serves_is_touched(platform: Platform) -> None:
    """Its reference is right and can be pulled: the sidecar's own image, which holds no weights."""
    platform.swap("node-local")
    (gateway,) = (c for c in platform.engine_pod()["spec"]["initContainers"] if c["name"] == "gateway")
    said = platform.refuses("image-volume", images={"tiny-random": gateway["image"]})
    assert "no weights image is mounted here" in said
    platform.swap("node-local")
    assert "choices" in platform.serves()


def test_the_api_server_takes_the_volumes_of_an_nfs_export(platform: Platform, tmp_path: Path) -> None:
    """This node cannot mount one; that the objects are what Kubernetes wants can still be asked."""
    overlay = {"larder:cluster": {"namespace": "nfs-check"}}
    files, _ = render(preview_of("shared-storage", overlay).recording)
    write({n: t for n, t in files.items() if "shared" in n or "deployment" in n}, tmp_path)
    platform.kubectl("create", "namespace", "nfs-check")
    try:
        said = platform.kubectl("apply", "--dry-run=server", "-f", str(tmp_path))
    finally:
        platform.kubectl("delete", "namespace", "nfs-check", "--wait=false")
    assert "persistentvolume/nfs-check-shared-model-storage created (server dry run)" in said
    assert "job.batch/populate-shared-" in said


def test_a_pod_deleted_under_node_local_serves_again_without_a_download(platform: Platform) -> None:
    platform.swap("node-local")
    before = platform.bytes_sent_by_hub()
    platform.kubectl("-n", "ai", "delete", "pod", "-l", "app.kubernetes.io/name=ollama", "--wait=true")
    platform.kubectl("-n", "ai", "rollout", "status", "deployment/ollama", "--timeout=120s")
    assert "choices" in platform.serves()
    assert platform.bytes_sent_by_hub() == before


def test_down_keeps_the_volume_and_the_next_up_fetches_nothing(platform: Platform) -> None:
    platform.swap("node-local")
    platform.make("down")
    assert json.loads(platform.kubectl("get", "pv", "-o", "json"))["items"]
    assert not platform.get("deployments")["items"]
    before = platform.bytes_sent_by_hub()
    platform.make("up")
    assert platform.bytes_sent_by_hub() == before


def test_a_new_cluster_on_the_old_disk_fetches_nothing(platform: Platform) -> None:
    platform.swap("node-local")
    cluster.drop(keep_disk=True)
    platform.make("up")
    assert platform.bytes_sent_by_hub() == 0  # the hub counts from its own start, and it is as new as the cluster
    assert "choices" in platform.serves()
