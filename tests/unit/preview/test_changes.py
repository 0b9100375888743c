"""Differences between two plans, and the change of each resource."""

from typing import Any

import pytest

from manifests.fixed import FIXED
from preview.changes import Change, changes
from preview.document import Planned
from testbed.plugin import diff

PHASES = {"ConfigMap": 40, "Job": 70, "Deployment": 80}


def planned(
    kind: str,
    name: str,
    inputs: dict[str, Any] | None = None,
    *,
    urn: str = "",
    protect: bool = False,
    **options: Any,
) -> Planned:
    return Planned(
        urn=urn or f"{kind}::{name}",
        kind=kind,
        name=name,
        purpose="what it is for",
        phase=PHASES.get(kind, 90),
        protect=protect,
        inputs={"metadata": {"name": name}, **(inputs or {})},
        **options,
    )


def _pod(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


def _one(before: Planned, after: Planned) -> Change:
    (change,) = changes([before], [after])
    return change


def test_what_is_as_it_was_is_no_change() -> None:
    assert changes([planned("Job", "a")], [planned("Job", "a")]) == []


def test_changes_stand_in_the_order_of_making() -> None:
    before = [planned("Deployment", "a"), planned("ConfigMap", "b", {"data": {"f": "1"}})]
    after = [planned("Job", "c"), planned("ConfigMap", "b", {"data": {"f": "2"}})]
    told = [(change.what, change.title, change.reason) for change in changes(before, after)]
    assert told == [
        ("changed", "ConfigMap b", "data.f"),
        ("created", "Job c", "what it is for"),
        ("deleted", "Deployment a", ""),
    ]


def test_a_protected_one_that_would_go_is_said_to_be_refused() -> None:
    (change,) = changes([planned("PersistentVolume", "a", protect=True)], [])
    assert change.what == "refused"
    assert change.reason.startswith("protected: pulumi refuses")


def test_a_retained_one_that_is_no_longer_declared_is_said_to_stay() -> None:
    (change,) = changes([planned("Image", "a", retain_on_delete=True)], [])
    assert (change.what, change.reason) == ("deleted", "stays in the cluster, and pulumi no longer manages it")


def _claim(size: str, **spec: Any) -> dict[str, Any]:
    return {"spec": {"resources": {"requests": {"storage": size}}, **spec}}


SMALL, LARGE = _claim("20Gi"), _claim("40Gi")
POOL = {"scalingConfig": {"minSize": 1, "desiredSize": 1}}


@pytest.mark.parametrize(
    ("kind", "ignored", "before", "after"),
    [
        ("PersistentVolumeClaim", ["spec.resources"], SMALL, LARGE),
        ("PersistentVolumeClaim", ["spec.resources"], LARGE, SMALL),
        ("PersistentVolumeClaim", ["spec.resources"], {"spec": {}}, SMALL),
        ("NodeGroup", ["scalingConfig.desiredSize"], POOL, {"scalingConfig": {"minSize": 1, "desiredSize": 3}}),
        ("AgentPool", ["count"], {"count": 1}, {"count": 3}),
        ("StorageClass", ["reclaimPolicy"], {"reclaimPolicy": "Delete"}, {"reclaimPolicy": "Retain"}),
        ("Deployment", ["spec.template.spec.containers[*].image"], *(_pod(containers=[{"image": i}]) for i in "ab")),
    ],
)
def test_what_pulumi_ignores_is_no_change(kind: str, ignored: list[str], before: Any, after: Any) -> None:
    assert changes([planned(kind, "a", before)], [planned(kind, "a", after, ignored=ignored)]) == []


def test_beside_what_is_ignored_the_rest_is_told_and_the_new_program_says_what_is() -> None:
    before, after = planned("PersistentVolumeClaim", "a", SMALL), _claim("40Gi", volumeName="v")
    ignoring = planned("PersistentVolumeClaim", "a", after, ignored=["spec.resources"])
    assert _one(before, ignoring).reason == "spec.volumeName; the old one goes first"
    no_longer = planned("PersistentVolumeClaim", "a", LARGE)
    ignored_before = planned("PersistentVolumeClaim", "a", SMALL, ignored=["spec.resources"])
    assert _one(ignored_before, no_longer).reason == "spec.resources.requests.storage"


MOVED = [{"spec": {"local": {"path": path}}} for path in ("/a", "/b")]


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [(True, True, "refused"), (False, True, "replaced"), (True, False, "replaced"), (False, False, "replaced")],
)
def test_a_replacement_is_refused_where_both_sides_are_protected(before: bool, after: bool, what: str) -> None:
    """To unprotect and to replace may be one update: pulumi's engine takes it (step_generator.go)."""
    sides = (planned("PersistentVolume", "a", spec, protect=p) for spec, p in zip(MOVED, (before, after), strict=True))
    change = _one(*sides)
    assert change.what == what
    assert change.reason.startswith("spec.local.path")
    assert ("pulumi state unprotect" in change.reason) is (what == "refused")


@pytest.mark.parametrize(("retained", "what"), [((True, False), "refused"), ((False, True), "replaced")])
def test_a_retained_one_keeps_its_name_from_the_one_that_would_replace_it(
    retained: tuple[bool, bool], what: str
) -> None:
    sides = [
        planned("PersistentVolume", "a", spec, retain_on_delete=keeps)
        for spec, keeps in zip(MOVED, retained, strict=True)
    ]
    assert _one(*sides).what == what


def test_another_name_of_a_protected_one_is_refused() -> None:
    assert _one(*(planned("PersistentVolume", name, urn="u", protect=True) for name in "ab")).what == "refused"


def test_a_protected_one_may_change_in_place() -> None:
    assert (
        _one(*(planned("PersistentVolume", "a", {"spec": {"capacity": c}}, protect=True) for c in "12")).what
        == "changed"
    )


@pytest.mark.parametrize("protect", [False, True])
@pytest.mark.parametrize(
    ("kind", "before", "after", "reason"),
    [
        ("PersistentVolume", *({"spec": {"nodeAffinity": {"required": host}}} for host in "ab"), "spec.nodeAffinity"),
        ("PersistentVolume", *({"spec": {"volumeMode": mode}} for mode in ("Block", "Filesystem")), "spec.volumeMode"),
        ("PersistentVolumeClaim", *(_claim("1Gi", volumeMode=m) for m in ("Block", "Filesystem")), "spec.volumeMode"),
        ("PersistentVolumeClaim", LARGE, SMALL, "spec.resources.requests.storage"),
        ("StorageClass", {"reclaimPolicy": "Delete"}, {"reclaimPolicy": "Retain"}, "reclaimPolicy"),
        ("StorageClass", {"volumeBindingMode": "Immediate"}, {}, "volumeBindingMode"),
        ("LocalModelCache", *({"spec": {"sourceModelUri": uri}} for uri in "ab"), "spec.sourceModelUri"),
    ],
)
def test_a_field_that_the_api_server_lets_nobody_change_is_refused_and_no_replacement_is_promised(
    kind: str, before: Any, after: Any, reason: str, protect: bool
) -> None:
    change = _one(planned(kind, "a", before, protect=protect), planned(kind, "a", after, protect=protect))
    assert change.what == "refused"
    assert change.reason.startswith(reason)
    assert "cannot be changed: the API server refuses it" in change.reason


def test_a_replacement_takes_the_fields_with_it_that_nobody_can_change() -> None:
    before = {"spec": {"local": {"path": "/a"}, "nodeAffinity": {"required": "a"}}}
    after = {"spec": {"nfs": {}, "nodeAffinity": {"required": "b"}}}
    assert _one(planned("PersistentVolume", "a", before), planned("PersistentVolume", "a", after)).what == "replaced"


@pytest.mark.parametrize(("before", "after"), [(SMALL, LARGE), (SMALL, _claim("?"))])
def test_a_claim_may_grow(before: Any, after: Any) -> None:
    assert _one(planned("PersistentVolumeClaim", "a", before), planned("PersistentVolumeClaim", "a", after)).what == (
        "changed"
    )


@pytest.mark.parametrize("respelled", ["20480Mi", "21474836480"])
def test_one_amount_in_another_spelling_is_no_change(respelled: str) -> None:
    assert (
        changes(
            [planned("PersistentVolumeClaim", "a", SMALL)], [planned("PersistentVolumeClaim", "a", _claim(respelled))]
        )
        == []
    )


def _named(name: str, **options: Any) -> Planned:
    return planned("PersistentVolume", "v", {"spec": {"a": name}}, urn=f"urn:x::{name}", protect=True, **options)


def test_a_resource_that_was_known_by_another_name_is_the_same_one() -> None:
    before, after = _named("volume"), _named("node-volume", aliases=["volume"])
    assert changes([before], [after.model_copy(update={"inputs": before.inputs})]) == []
    assert [change.what for change in changes([before], [after])] == ["changed"]


def test_an_alias_that_another_resource_has_as_its_name_is_that_ones() -> None:
    before = [_named("volume"), _named("node-volume")]
    after = [_named("node-volume", aliases=["volume"]), _named("volume")]
    assert changes(before, after) == []
    assert [(change.what, change.title) for change in changes(before[:1], after)] == [("created", "PersistentVolume v")]


def test_data_that_is_immutable_is_replaced() -> None:
    before, after = ({"immutable": True, "data": {"a": value}} for value in "12")
    assert _one(planned("ConfigMap", "a", before), planned("ConfigMap", "a", after)).what == "replaced"


def test_who_is_deleted_first_is_said_to_be() -> None:
    sides = (planned("Job", name, urn="u", delete_before_replace=True) for name in "ab")
    assert _one(*sides).reason == "was a; metadata.name; the old one goes first"


@pytest.mark.parametrize("kind", sorted(FIXED))
def test_what_is_replaced_here_is_replaced_by_the_plugin(kind: str) -> None:
    version = {"Deployment": "apps/v1", "StorageClass": "storage.k8s.io/v1"}.get(kind, "v1")
    version = "rbac.authorization.k8s.io/v1" if kind == "RoleBinding" else version
    for field in FIXED[kind].replaced:
        old, new = (_nested(field, value, {"apiVersion": version, "kind": kind}) for value in ("a", "b"))
        assert [change.replaces for change in diff.changes(old, new)] == [True], field
    for field in FIXED[kind].refused:
        old, new = (_nested(field, value, {"apiVersion": version, "kind": kind}) for value in ("a", "b"))
        assert [change.replaces for change in diff.changes(old, new)] == [False], field


def _nested(path: str, value: str, around: dict[str, Any]) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {**around, first: _nested(rest, value, {}) if rest else value}


@pytest.mark.parametrize(
    ("kind", "before", "after", "reason"),
    [
        ("Job", _pod(a=1), _pod(a=2), "a"),
        ("Deployment", {"spec": {"selector": {"a": 1}}}, {"spec": {"selector": {"a": 2}}}, "spec.selector.a"),
        ("PersistentVolume", {"spec": {"local": {"path": "/a"}}}, {"spec": {"nfs": {}}}, "spec.local, spec.nfs"),
        ("StorageClass", {"provisioner": "a"}, {"provisioner": "b"}, "provisioner"),
    ],
)
def test_what_nobody_can_change_is_replaced(kind: str, before: Any, after: Any, reason: str) -> None:
    change = _one(planned(kind, "a", before), planned(kind, "a", after))
    assert (change.what, change.reason) == ("replaced", f"{reason}; the old one goes first")


def test_another_name_is_a_replacement_that_says_the_old_one() -> None:
    change = _one(planned("ConfigMap", "a-1", urn="u"), planned("ConfigMap", "a-2", urn="u"))
    assert (change.what, change.title, change.reason) == ("replaced", "ConfigMap a-2", "was a-1; metadata.name")


def test_a_size_is_changed_in_place() -> None:
    sizes = [planned("PersistentVolume", "a", {"spec": {"capacity": {"storage": size}}}) for size in ("1Gi", "2Gi")]
    assert _one(*sizes).what == "changed"


def test_items_of_a_list_are_told_by_their_names_and_the_list_where_they_come_and_go() -> None:
    before = _pod(containers=[{"name": "a", "image": "x"}, {"name": "b"}], volumes=[{"name": "none"}])
    after = _pod(containers=[{"name": "a", "image": "y"}, {"name": "b"}], volumes=[{"name": "node-local"}])
    change = _one(planned("Deployment", "d", before), planned("Deployment", "d", after))
    assert change.reason == "containers[a].image, volumes"


@pytest.mark.parametrize("after", [[{"name": "b"}, {"name": "a"}], [{"name": "a"}, {"name": "a"}, {"name": "b"}]])
def test_items_in_another_order_or_twice_are_a_change(after: list[Any]) -> None:
    before = [{"name": "a"}, {"name": "b"}]
    sides = [planned("Deployment", "d", _pod(initContainers=items)) for items in (before, after)]
    assert _one(*sides).reason == "initContainers"


def test_a_long_reason_is_cut_and_counted() -> None:
    before, after = ({"data": {str(key): value for key in range(9)}} for value in ("1", "2"))
    assert _one(planned("ConfigMap", "a", before), planned("ConfigMap", "a", after)).reason == (
        "data.0, data.1, data.2 and 6 more"
    )


@pytest.mark.parametrize(
    ("kind", "before", "after", "rolls"),
    [
        ("Deployment", _pod(a=1), _pod(a=2), True),
        ("Deployment", {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, False),
        ("Job", _pod(a=1), _pod(a=2), False),
        ("InferenceService", {"spec": {"predictor": {"a": 1}}}, {"spec": {"predictor": {"a": 2}}}, True),
    ],
)
def test_pods_give_way_where_what_they_are_made_from_changes(
    kind: str,
    before: Any,
    after: Any,
    rolls: bool,
) -> None:
    assert _one(planned(kind, "a", before), planned(kind, "a", after)).rolls is rolls
