"""Ids and names of objects, from urns and manifests."""

import pytest

from testbed.plugin.naming import identifier, identity, patch_manager, resource_type


def test_ids_are_namespace_and_name():
    assert identifier({"metadata": {"name": "larder", "namespace": "ai"}}) == "ai/larder"
    assert identifier({"metadata": {"name": "venus"}}) == "venus"


@pytest.mark.parametrize(
    ("type_", "version", "kind"),
    [
        ("kubernetes:core/v1:Service", "v1", "Service"),
        ("larder:Stack$kubernetes:apps/v1:Deployment", "apps/v1", "Deployment"),
        ("kubernetes:storage.k8s.io/v1:StorageClass", "storage.k8s.io/v1", "StorageClass"),
    ],
)
def test_what_is_read_has_its_kind_in_the_urn(type_, version, kind):
    urn = f"urn:pulumi:dev::larder::{type_}::larder"
    assert resource_type(urn) == type_.rpartition("$")[2]
    assert identity(urn, "ai/larder") == {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "larder", "namespace": "ai"},
    }


def test_a_patch_is_of_an_object_with_the_kind_before_the_suffix():
    urn = "urn:pulumi:dev::larder::kubernetes:core/v1:NodePatch::venus"
    assert identity(urn, "venus") == {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "venus"}}


def test_each_patch_has_a_manager_of_its_own_and_an_object_has_none():
    urns = [f"urn:pulumi:dev::larder::kubernetes:core/v1:NodePatch::{host}" for host in ("venus", "mars")]
    assert len({patch_manager(urn) for urn in urns}) == 2
    assert patch_manager(urns[0].replace("NodePatch", "Node")) is None
