"""Previews decide each change as the official kubernetes plugin did when it was recorded."""

from dataclasses import astuple

import pytest

from manifests.fixed import FIXED
from preview.changes import Change, changes
from preview.document import Planned
from tests.agreement import disagreements
from tests.plugin.cases import CASES, Case
from tests.plugin.manifests import Manifest
from tests.plugin.recording import read

RECORDED = read()


def _planned(case: Case, side: Manifest | None, options: dict, name: str) -> list[Planned]:
    if side is None:
        return []
    return [
        Planned(
            urn=f"around::{name}",
            kind=case.kind,
            name=side["metadata"]["name"],
            purpose="",
            phase=0,
            protect=options.get("protect", False),
            retain_on_delete=options.get("retain_on_delete", False),
            delete_before_replace=options.get("delete_before_replace", False),
            ignored=options.get("ignore_changes", []),
            aliases=options.get("aliases", []),
            inputs=side,
        )
    ]


def change_of(case: Case) -> list[Change]:
    before = _planned(case, case.before, case.options[0], case.former or case.name)
    return changes(before, _planned(case, case.after, case.options[1], case.name))


def test_each_case_was_recorded() -> None:
    assert RECORDED.keys() == CASES.keys()


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, fixed in FIXED.items() for fields in astuple(fixed) for field in fields]
)
def test_each_fixed_field_was_recorded(kind: str, field: str) -> None:
    stored = "data" if (kind, field) == ("Secret", "stringData") else field
    decided = [RECORDED[name] for name, case in CASES.items() if case.kind == kind]
    paths = [path for one in decided if one.op in ("replace", "refused") for path in one.differs]
    assert any(path == stored or path.startswith((f"{stored}.", f"{stored}[")) for path in paths)


@pytest.mark.parametrize("name", CASES)
def test_previews_decide_as_the_official_plugin_but_for_what_they_cannot_foresee(name: str) -> None:
    case, recorded = CASES[name], RECORDED[name]
    found = disagreements(change_of(case), [recorded.step(case)] if recorded.op != "same" else [])
    assert bool(found) == bool(case.unforeseen), found


def test_the_file_names_what_previews_cannot_foresee() -> None:
    assert {name: one.unforeseen for name, one in RECORDED.items()} == {n: c.unforeseen for n, c in CASES.items()}
