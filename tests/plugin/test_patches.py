"""Patches of objects that others made: deleting a patch gives its fields up."""

from collections.abc import Iterator
from typing import Any

import pytest

from testbed.plugin.client import Client
from tests.plugin.stack import Stack, declared

pytestmark = pytest.mark.timeout(180)
GPU = {"key": "amd.com/gpu", "effect": "NoSchedule"}
TEAM = {"key": "team", "value": "ml", "effect": "NoSchedule"}


@pytest.fixture
def node(api: Client, namespace: str) -> Iterator[str]:
    """Yield a node of this test: an object without a machine."""
    metadata = {"name": namespace, "labels": {"kubernetes.io/hostname": namespace}}
    api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": metadata}, dry_run=False)
    _replace(api, namespace, [])
    yield namespace
    api.delete(f"/api/v1/nodes/{namespace}", "Background")


def _replace(api: Client, node: str, taints: list[dict[str, str]]) -> None:
    api.json_patch(f"/api/v1/nodes/{node}", [{"op": "add", "path": "/spec/taints", "value": taints}])


def _patch(node: str, **labels: str) -> dict[str, Any]:
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": labels}}
    return declared("patch", manifest | {"spec": {"taints": [GPU]}}, type="NodePatch")


def _seen(api: Client, node: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    live = api.get(f"/api/v1/nodes/{node}")
    labels = {key: value for key, value in live["metadata"]["labels"].items() if key != "kubernetes.io/hostname"}
    # The control plane taints a node that no kubelet answers for; when, is its own matter.
    taints = [it for it in live["spec"].get("taints", []) if not it["key"].startswith("node.kubernetes.io/")]
    return labels, taints


def test_labels_and_taints_come_change_and_go(stack: Stack, api: Client, node: str):
    stack.declare(_patch(node, pool="rocm"))
    stack.done("preview")
    assert _seen(api, node) == ({}, [])
    stack.up()
    stack.done("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert _seen(api, node) == ({"pool": "rocm"}, [GPU])
    stack.declare(_patch(node, tier="a"))
    stack.up()
    assert _seen(api, node) == ({"tier": "a"}, [GPU])
    stack.done("destroy", "--yes", "--skip-preview")
    assert _seen(api, node) == ({}, [])


def test_what_somebody_else_wrote_is_not_overruled_and_not_taken_away(stack: Stack, api: Client, node: str):
    _replace(api, node, [TEAM])
    stack.declare(_patch(node, pool="rocm"))
    assert ".spec.taints" in stack.refused("up", "--yes", "--skip-preview")
    assert _seen(api, node) == ({}, [TEAM])
    _replace(api, node, [GPU])  # the same list: both hold it
    stack.up()
    stack.done("destroy", "--yes", "--skip-preview")
    assert _seen(api, node) == ({}, [GPU])


def test_undoing_the_patch_of_an_object_that_is_gone_makes_an_empty_one(stack: Stack, api: Client, node: str):
    stack.declare(_patch(node, pool="rocm"))
    stack.up()
    api.delete(f"/api/v1/nodes/{node}", "Background")
    stack.done("destroy", "--yes", "--skip-preview")
    assert "pool" not in api.get(f"/api/v1/nodes/{node}")["metadata"].get("labels", {})


def test_a_patch_alone_makes_what_is_not_there(stack: Stack, api: Client, node: str):
    """The official plugin does so too, by server-side apply: a program reads before it patches."""
    api.delete(f"/api/v1/nodes/{node}", "Background")
    stack.declare(_patch(node, pool="rocm"))
    stack.up()
    assert _seen(api, node) == ({"pool": "rocm"}, [GPU])


@pytest.mark.parametrize("command", [("preview",), ("up", "--yes", "--skip-preview")], ids=["preview", "up"])
def test_a_node_that_is_read_first_ends_the_command_with_its_name_and_none_is_made(
    stack: Stack, api: Client, node: str, command: tuple[str, ...]
):
    absent = f"{node}-not-there"
    read = declared("hosts", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": absent}}, id=absent)
    patch = _patch(absent, pool="rocm")
    patch["options"]["after"] = ["hosts"]
    stack.declare(read, patch)
    assert f"'{absent}' does not exist" in stack.refused(*command)
    assert absent not in [item["metadata"]["name"] for item in api.get("/api/v1/nodes")["items"]]


def test_a_node_that_is_there_is_read_and_patched(stack: Stack, api: Client, node: str):
    read = declared("hosts", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}, id=node)
    patch = _patch(node, pool="rocm")
    patch["options"]["after"] = ["hosts"]
    stack.declare(read, patch)
    stack.done("preview")
    stack.up()
    assert _seen(api, node) == ({"pool": "rocm"}, [GPU])
    stack.done("preview", "--expect-no-changes")
    stack.done("destroy", "--yes", "--skip-preview")
    assert _seen(api, node) == ({}, [])
