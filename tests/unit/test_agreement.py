"""Disagreements between the comparison of previews and Pulumi's are found, and shown with both sides."""

from typing import Any

import pytest

from preview.changes import Change
from tests.e2e.agreement import disagreements

ROLLED = Change(
    what="changed", kind="Deployment", name="ollama", reason="", paths=("spec.template.spec.volumes[weights-none]",)
)
MOVED = Change(what="replaced", kind="Job", name="populate-2", reason="", paths=("metadata.name",))
GONE = Change(what="deleted", kind="Job", name="preflight-1", reason="")


def step(op: str, title: str, *differs: str) -> dict[str, Any]:
    kind, _, name = title.partition(" ")
    return {"op": op, "kind": kind, "name": name, "differs": [*differs]}


UPDATE = step("update", "Deployment ollama", "spec.template.spec.volumes[0].name", "spec.template.spec.volumes[1]")
REPLACE = step("create-replacement", "Job populate-2", "metadata.name")
DELETE = step("delete", "Job preflight-1")


def test_the_same_changes_agree_however_items_of_lists_are_written() -> None:
    halves = step("delete-replaced", "Job populate-1")
    assert disagreements([ROLLED, MOVED, GONE], [UPDATE, halves, REPLACE, DELETE]) == []


def test_a_key_with_dots_is_the_same_in_quotes() -> None:
    ours = Change(what="changed", kind="Job", name="a", reason="", paths=("metadata.labels.app.kubernetes.io/name",))
    assert disagreements([ours], [step("update", "Job a", 'metadata.labels["app.kubernetes.io/name"]')]) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "line"),
    [
        ([], [DELETE], "Job preflight-1: previews say nothing, Pulumi says deleted"),
        ([GONE], [], "Job preflight-1: previews say deleted, Pulumi says nothing"),
        (
            [MOVED],
            [step("update", "Job populate-2", "metadata.name")],
            "Job populate-2: previews say replaced metadata.name, Pulumi says changed metadata.name",
        ),
        (
            [ROLLED],
            [step("update", "Deployment ollama", "spec.replicas")],
            "Deployment ollama: previews say changed spec.template.spec.volumes, Pulumi says changed spec.replicas",
        ),
    ],
)
def test_a_difference_is_one_line_with_both_sides(ours: list[Change], theirs: list[dict[str, Any]], line: str) -> None:
    assert disagreements(ours, theirs) == [line]
