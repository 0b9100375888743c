"""One line changes the caching strategy: nobody's request fails, and bytes that are there are not fetched again."""

import json

import pytest

from testbed.cluster import cluster

from .conftest import Platform
from .load import Load

pytestmark = pytest.mark.timeout(3600)


def test_clients_never_notice_a_swap_and_the_disk_remembers(platform: Platform) -> None:
    fetched = []
    with Load(platform.url, "tiny-random") as load:
        for wanted in ("node-local", "none", "node-local"):
            before = platform.bytes_sent_by_hub()
            platform.swap(wanted)
            fetched.append(platform.bytes_sent_by_hub() - before)
            assert platform.weights_volume() == f"weights-{wanted}"
    assert load.failures == []
    assert load.answers > 50
    _, without, again = fetched  # the first fill is of the disk that an earlier run may have kept
    assert without > 0
    assert again == 0


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
