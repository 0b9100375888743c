"""The comment of a pull request: what it says first, what it never lets through, and how long it may be."""

import itertools
import re
from typing import Any

import pytest

from preview.comment import MARKER, MOST_BYTES, comment
from preview.document import Finding, PlanDocument
from tests.unit.preview.test_changes import planned

USERS = {"strategy": "none", "models": "alpha"}
EVIL = [
    "```\n# Approved",
    "``````````",
    "<img src=x onerror=alert(1)> <!-- ",
    "@everyone ping @octocat",
    "a | b | [link](https://evil.example)",
    "\u202egnp.exe \x00\x1b[31m\ud800\u2028",
    "x" * 100_000,
]


def plan(**parts: Any) -> PlanDocument:
    """Not validated: a comment is written whatever a plan holds."""
    return PlanDocument.model_construct(**{"stack": "dev", "users": USERS, **parts})


def _blocks(text: str) -> tuple[str, list[str]]:
    """Split a text into what is outside of fences and the inside of each, as CommonMark reads it."""
    outside, inside, fence = [], [], ""
    for line in text.splitlines():
        if fence and line == fence:
            fence = ""
        elif fence:
            inside.append(line)
        elif opened := re.fullmatch(r"(`{3,})diff", line):
            fence = opened[1]
        else:
            outside.append(line)
    assert not fence, "a fence that never ends"
    return "\n".join(outside), inside


def test_it_begins_with_the_mark_by_which_the_next_run_finds_it() -> None:
    assert comment([]).startswith(f"{MARKER}\n")
    assert "changes no stack" in comment([])


def test_users_come_first_then_resources_then_policies() -> None:
    broken = Finding(rule="pinned-images", level="mandatory", where="Job a", text="image. Pin it.")
    after = plan(users={**USERS, "strategy": "node-local"}, resources=[planned("Job", "a")], findings=[broken])
    text = comment([(plan(), after)])
    wanted = [
        "- strategy  none",
        "+ strategy  node-local",
        "  models    alpha",
        "**Resources**: 1 created, 0 as before",
        "+ created   Job a",
        "**Policies**: findings 1, new 1",
        "! new mandatory: pinned-images: Job a: image. Pin it.",
    ]
    assert [line for line in text.splitlines() if any(line.startswith(w) for w in wanted)] != []
    assert [text.index(line) for line in wanted] == sorted(text.index(line) for line in wanted)


def test_nothing_changed_is_said_in_three_lines() -> None:
    same = plan(resources=[planned("Job", "a")])
    text = comment([(same, same)])
    assert "```" not in text
    assert "**Resources**: all 1 as before." in text


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, "ready before the last one drains"),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0}}, "the last pod ends before the next one starts"),
        ({"type": "Recreate"}, "the last pod ends before the next one starts"),
        ({}, "ready before the last one drains"),
    ],
)
def test_users_are_told_whether_pods_overlap(strategy: dict[str, object], said: str) -> None:
    before, after = (
        plan(resources=[planned("Deployment", "d", {"spec": {"strategy": strategy, "template": {"x": x}}})])
        for x in (1, 2)
    )
    assert said in comment([(before, after)])


def test_a_new_stack_a_refused_one_and_one_that_is_gone_are_told_apart() -> None:
    refused = PlanDocument(stack="dev", problems=["larder:models: is missing."])
    assert "### Stack `dev` (new)" in comment([(None, plan())])
    assert "is gone" in comment([(plan(), None)])
    assert "The settings are refused:\n\n```diff\nlarder:models: is missing.\n```" in comment([(plan(), refused)])
    assert "(was refused before)" in comment([(refused, plan())])


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_nothing_hostile_leaves_its_block(evil: str) -> None:
    finding = Finding.model_construct(rule=evil, level=evil, where=evil, text=evil)
    resource = planned("Job", "a").model_copy(update={"name": evil, "kind": evil, "purpose": evil})
    after = plan(stack=evil, users={evil: evil}, resources=[resource], findings=[finding])
    for pair in ((None, after), (plan(), plan(stack=evil, problems=[evil]))):
        text = comment([pair])
        outside, inside = _blocks(text)
        assert inside
        assert re.fullmatch(r"[\w\s#*:,`<>!?.()-]*", outside, re.ASCII)
        assert "@" not in outside
        assert outside.count("<") == 1, "the mark alone"
        assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize(("stacks", "resources"), [(1, 3000), (50, 60), (400, 3)])
def test_it_is_never_longer_than_what_is_taken(stacks: int, resources: int) -> None:
    numbers = itertools.count()
    pairs = [
        (None, plan(stack=f"s{n}", resources=[planned("Job", f"{next(numbers)}-ü" * 20) for _ in range(resources)]))
        for n in range(stacks)
    ]
    text = comment(pairs)
    assert len(text.encode()) <= MOST_BYTES
    assert "### Stack `s0`" in text
    assert "more" in text
    assert ("more stacks: see the job's summary" in text) == (stacks == 400)
    _blocks(text)
