"""Disagreements between the comparison of previews and Pulumi's are found, and shown with both sides."""

from typing import Any

import pytest

from preview.changes import Change
from tests.agreement import disagreements

POD = "spec.template.spec"


def ours(what: str, title: str, *paths: str, urn: str = "", replaced_for: tuple[str, ...] = ()) -> Change:
    kind, _, name = title.partition(" ")
    return Change(what=what, urn=urn or kind, kind=kind, name=name, reason="", paths=paths, replaced_for=replaced_for)


def theirs(op: str, title: str, *paths: str, urn: str = "", replaced_for: tuple[str, ...] = ()) -> dict[str, Any]:
    kind, _, name = title.partition(" ")
    more = {"differs": [*paths], "replaced_for": [*replaced_for]}
    return {"op": op, "urn": urn or kind, "kind": kind, "name": name, **more}


ROLLED = ours("changed", "Deployment ollama", f"{POD}.volumes", f"{POD}.volumes[tmp].emptyDir.sizeLimit")
MOVED = ours("replaced", "Job populate-2", "metadata.name", f"{POD}.image", replaced_for=(f"{POD}.image",))
GONE = ours("deleted", "Service front")

UPDATE = theirs("update", "Deployment ollama", f"{POD}.volumes[0].name", f"{POD}.volumes[1]")
REPLACE = theirs(
    "create-replacement", "Job populate-2", "metadata.name", f"{POD}.image", replaced_for=(f"{POD}.image",)
)
DELETE = theirs("delete", "Service front")


def test_the_same_changes_agree_however_items_of_lists_are_written() -> None:
    half = theirs("delete-replaced", "Job populate-1")
    assert disagreements([ROLLED, MOVED, GONE], [UPDATE, half, REPLACE, DELETE]) == []


@pytest.mark.parametrize(
    ("mine", "its"),
    [
        ("metadata.labels.app.kubernetes.io/name", 'metadata.labels["app.kubernetes.io/name"]'),
        (f"{POD}.containers[ollama].image", f"{POD}.containers[0].image"),
        ("spec.egress", "spec.egress[0]"),
        ("data.a", "data"),
    ],
)
def test_one_property_has_several_spellings(mine: str, its: str) -> None:
    assert disagreements([ours("changed", "Job a", mine)], [theirs("update", "Job a", its)]) == []


@pytest.mark.parametrize(
    ("mine", "its", "line"),
    [
        ([], [DELETE], "Service front: previews say nothing, Pulumi says deleted"),
        ([GONE], [], "Service front: previews say deleted, Pulumi says nothing"),
        ([GONE], [theirs("read", "Service front")], "Service front: previews say deleted, Pulumi says read"),
        (
            [ours("replaced", "Job a", "spec.a", replaced_for=("spec.a",))],
            [theirs("update", "Job a", "spec.a")],
            "Job a: previews say replaced for spec.a spec.a, Pulumi says changed spec.a",
        ),
        (
            [ours("replaced", "Job a", "spec.a", "spec.b", replaced_for=("spec.a",))],
            [theirs("replace", "Job a", "spec.a", "spec.b", replaced_for=("spec.b",))],
            "Job a: previews say replaced for spec.a spec.a, spec.b, Pulumi says replaced for spec.b spec.a, spec.b",
        ),
        (
            [ours("changed", "Job a", "spec.c[x].image")],
            [theirs("update", "Job a", "spec.c[0].env[3].value")],
            "Job a: previews say changed spec.c[].image, Pulumi says changed spec.c[].env[].value",
        ),
        (
            [ours("changed", "Job a", "spec.a")],
            [theirs("update", "Job a", "spec.a", "spec.b")],
            "Job a: previews say changed spec.a, Pulumi says changed spec.a, spec.b",
        ),
    ],
)
def test_a_difference_is_one_line_with_both_sides(mine: list[Change], its: list[dict[str, Any]], line: str) -> None:
    assert disagreements(mine, its) == [line]


def test_two_objects_of_one_name_are_two() -> None:
    here, there = (theirs("delete", "Service front", urn=urn) for urn in ("one", "other"))
    assert disagreements([ours("deleted", "Service front", urn="one")], [here, there]) == [
        "Service front: previews say nothing, Pulumi says deleted"
    ]
