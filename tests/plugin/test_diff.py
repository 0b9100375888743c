"""Effects of a change of inputs: update in place, replacement, deletion first."""

import pytest

from preview.ignoring import with_ignored
from testbed.plugin.diff import changes, delete_first
from testbed.plugin.values import UNKNOWN
from tests.plugin.cases import CASES
from tests.plugin.recording import read

RECORDED = read()


def manifest(kind: str, version: str = "v1", **rest: object) -> dict:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "n", "namespace": "ai"}, **rest}


def paths(old: dict, new: dict) -> dict[str, tuple[str, bool]]:
    return {change.path: (change.kind, change.replaces) for change in changes(old, new)}


def test_equal_inputs_differ_in_nothing():
    one = manifest("ConfigMap", data={"a": "1"})
    assert paths(one, one) == {}


def test_each_difference_is_named_where_it_is():
    old = {"spec": {"containers": [{"image": "a:1", "env": [{"name": "X"}]}]}, "metadata": {"labels": {"a.b/c": "1"}}}
    new = {"spec": {"containers": [{"image": "a:2"}], "new": 1}, "metadata": {"labels": {"a.b/c": "2"}}}
    assert paths(old, new) == {
        'metadata.labels["a.b/c"]': ("UPDATE", False),
        "spec.containers[0].env": ("DELETE", False),
        "spec.containers[0].image": ("UPDATE", False),
        "spec.new": ("ADD", False),
    }


@pytest.mark.parametrize(
    ("kind", "version", "old", "new", "replaced"),
    [
        ("PersistentVolumeClaim", "v1", {"storageClassName": "a"}, {"storageClassName": "b"}, True),
        ("PersistentVolumeClaim", "v1", {"resources": {"requests": {"storage": "1Gi"}}}, {"resources": {}}, False),
        ("PersistentVolume", "v1", {"local": {"path": "/a"}}, {"local": {"path": "/b"}}, True),
        ("PersistentVolume", "v1", {"local": {"path": "/a"}}, {"hostPath": {"path": "/a"}}, True),
        ("PersistentVolume", "v1", {"nodeAffinity": {"a": 1}}, {"nodeAffinity": {"a": 2}}, False),
        ("Job", "batch/v1", {"template": {"a": 1}}, {"template": {"a": 2}}, True),
        ("Job", "batch/v1", {"backoffLimit": 1}, {"backoffLimit": 2}, False),
        ("Deployment", "apps/v1", {"selector": {"a": "1"}}, {"selector": {"a": "2"}}, True),
        ("Deployment", "apps/v1", {"template": {"a": 1}}, {"template": {"a": 2}}, False),
        ("Service", "v1", {"clusterIP": "None"}, {}, True),
    ],
)
def test_some_fields_can_only_change_with_the_object(kind, version, old, new, replaced):
    found = changes(manifest(kind, version, spec=old), manifest(kind, version, spec=new))
    assert found
    assert any(change.replaces for change in found) is replaced


def test_a_branch_that_brings_a_fixed_field_replaces_too():
    assert paths(manifest("Job", "batch/v1"), manifest("Job", "batch/v1", spec={"template": {}})) == {
        "spec": ("ADD", True)
    }
    assert paths(manifest("Job", "batch/v1"), manifest("Job", "batch/v1", spec={"ttl": 1})) == {"spec": ("ADD", False)}


@pytest.mark.parametrize("field", ["name", "namespace"])
def test_a_renamed_or_moved_object_is_another_object(field):
    old, new = manifest("ConfigMap"), manifest("ConfigMap")
    new["metadata"][field] = "other"
    assert paths(old, new) == {f"metadata.{field}": ("UPDATE", True)}


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
@pytest.mark.parametrize("frozen", [True, False])
def test_changed_data_replaces_what_is_immutable(kind, frozen):
    old, new = manifest(kind, data={"a": "1"}, immutable=frozen), manifest(kind, data={"a": "2"}, immutable=frozen)
    assert paths(old, new) == {"data.a": ("UPDATE", frozen)}


def test_the_texts_of_a_secret_are_compared_as_the_data_that_they_become():
    old, new = manifest("Secret", stringData={"a": "1"}), manifest("Secret", stringData={"a": "2"})
    assert paths(old, new) == {"data.a": ("UPDATE", False)}
    assert paths(old, manifest("Secret", data={"a": "MQ=="})) == {}
    unknown = manifest("Secret", stringData={"a": UNKNOWN})
    assert paths(old, unknown) == {"data": ("DELETE", False), "stringData": ("ADD", False)}


def test_quantities_of_a_kind_that_is_not_of_kubernetes_are_compared_as_they_are():
    old, new = ({"limits": {"cpu": cpu}, "apiVersion": "serving.kserve.io/v1alpha1"} for cpu in ("0.5", "500m"))
    assert paths(old, new) == {"limits.cpu": ("UPDATE", False)}


def test_deletion_comes_first_only_where_the_name_must_be_free():
    fixed, renamed, moved = manifest("ConfigMap"), manifest("ConfigMap"), manifest("ConfigMap")
    renamed["metadata"]["name"] = "m"
    moved["metadata"]["namespace"] = "other"
    assert delete_first(fixed, fixed)
    assert not delete_first(fixed, renamed)
    assert not delete_first(fixed, moved)


def test_an_unknown_is_always_a_change():
    assert paths({"spec": {"a": "1"}}, {"spec": {"a": UNKNOWN}}) == {"spec.a": ("UPDATE", False)}


def test_texts_are_compared_as_they_are():
    assert paths({"env": [{"value": "1.0"}]}, {"env": [{"value": "1"}]}) == {"env[0].value": ("UPDATE", False)}


@pytest.mark.parametrize(("old", "new"), [(True, 1), ("1", 1)])
def test_values_of_two_types_differ(old, new):
    assert paths({"a": old}, {"a": new}) == {"a": ("UPDATE", False)}


def test_a_path_quotes_what_is_not_a_plain_key():
    assert paths({"a": [{}]}, {"a": [{'b"c': 1}]}) == {'a[0]["b\\"c"]': ("ADD", False)}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.before and case.after])
def test_each_recorded_change_differs_as_with_the_official_plugin(name):
    case, recorded = CASES[name], RECORDED[name]
    # Pulumi's engine applies ignore_changes before it asks a plugin.
    before, after = case.before or {}, case.after or {}
    found = changes(before, dict(with_ignored(before, after, case.options[1].get("ignore_changes", []))))
    assert sorted(change.path for change in found) == recorded.differs
    assert sorted(change.path for change in found if change.replaces) == recorded.replaced_for
