"""What differs between two plans, and what becomes of each resource."""

from typing import Any

import pytest

from components.planning.changes import Change, changes
from components.planning.document import Planned

PHASES = {"ConfigMap": 40, "Job": 70, "Deployment": 80}


def planned(
    kind: str, name: str, inputs: dict[str, Any] | None = None, *, urn: str = "", protect: bool = False
) -> Planned:
    return Planned(
        urn=urn or f"{kind}::{name}",
        kind=kind,
        name=name,
        purpose="what it is for",
        phase=PHASES.get(kind, 90),
        protect=protect,
        inputs={"metadata": {"name": name}, **(inputs or {})},
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
    assert change.reason.startswith("protected: pulumi refuses")


@pytest.mark.parametrize(
    ("kind", "before", "after", "reason"),
    [
        ("Job", {"spec": {"a": 1}}, {"spec": {"a": 2}}, "spec.a"),
        ("Deployment", {"spec": {"selector": {"a": 1}}}, {"spec": {"selector": {"a": 2}}}, "spec.selector.a"),
        ("PersistentVolume", {"spec": {"local": {"path": "/a"}}}, {"spec": {"nfs": {}}}, "spec.local, spec.nfs"),
        ("StorageClass", {"provisioner": "a"}, {"provisioner": "b"}, "provisioner"),
    ],
)
def test_what_nobody_can_change_is_replaced(kind: str, before: Any, after: Any, reason: str) -> None:
    change = _one(planned(kind, "a", before), planned(kind, "a", after))
    assert (change.what, change.reason) == ("replaced", reason)


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
