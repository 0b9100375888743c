"""Names given and names found again."""

import pytest

from testbed.plugin.naming import Fault, identifier, identity, name_in, named, resource_type
from testbed.plugin.values import UNKNOWN

AUTONAMED = {"pulumi.com/autonamed": "true"}


def test_a_stated_name_stays_also_when_it_is_known_only_later():
    for name in ("n", UNKNOWN):
        manifest = {"metadata": {"name": name}}
        assert named(manifest, {}, lambda: "other") is None
        assert manifest == {"metadata": {"name": name}}


def test_a_proposed_name_is_marked_so_that_a_replacement_may_take_another():
    manifest = {"metadata": {"annotations": {"a": "b"}}}
    assert named(manifest, {}, lambda: "n-1") is None
    assert manifest == {"metadata": {"name": "n-1", "annotations": {"a": "b"} | AUTONAMED}}


def test_the_name_of_an_autonamed_object_is_kept_and_of_another_not():
    kept: dict = {"metadata": {}}
    renamed: dict = {"metadata": {}}
    named(kept, {"metadata": {"name": "n-1", "annotations": AUTONAMED}}, lambda: "n-2")
    named(renamed, {"metadata": {"name": "stated"}}, lambda: "n-2")
    assert (kept["metadata"]["name"], renamed["metadata"]["name"]) == ("n-1", "n-2")


@pytest.mark.parametrize(
    ("metadata", "property_"), [({}, "metadata.name"), ({"generateName": "n-"}, "metadata.generateName")]
)
def test_what_cannot_be_named_is_a_fault(metadata, property_):
    fault = named({"metadata": metadata}, {}, None)
    assert isinstance(fault, Fault)
    assert fault.property == property_


def test_ids_are_namespace_and_name():
    assert identifier({"metadata": {"name": "larder", "namespace": "ai"}}) == "ai/larder"
    assert identifier({"metadata": {"name": "venus"}}) == "venus"
    assert name_in("ai/larder") == "larder"
    assert name_in("venus") == "venus"


@pytest.mark.parametrize(
    ("type_", "version", "kind"),
    [
        ("kubernetes:core/v1:Service", "v1", "Service"),
        ("larder:Stack$kubernetes:apps/v1:Deployment", "apps/v1", "Deployment"),
        ("kubernetes:storage.k8s.io/v1:StorageClass", "storage.k8s.io/v1", "StorageClass"),
    ],
)
def test_an_import_finds_the_kind_in_the_urn(type_, version, kind):
    urn = f"urn:pulumi:dev::larder::{type_}::larder"
    assert resource_type(urn) == type_.rpartition("$")[2]
    assert identity({}, urn, "ai/larder") == {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "larder", "namespace": "ai"},
    }


def test_the_state_knows_the_kind_better_than_the_urn():
    known = {"apiVersion": "example.org/v1", "kind": "Thing"}
    urn = "urn:pulumi:dev::larder::kubernetes:example.org/v1beta1:Thing::t"
    assert identity(known, urn, "t") == known | {"metadata": {"name": "t"}}
