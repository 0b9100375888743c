"""The end-to-end suites: each test belongs to one, and a change runs those whose files it touches."""

import fnmatch
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev.progress import CommandError
from testbed import e2e, proof
from testbed.suites import CORE, PARTS, SUITES, of_part, within

ROOT = Path(__file__).resolve().parents[3]
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
NEEDY = ("tests/e2e/", "tests/engines/", "tests/plugin/")


def test_every_test_that_needs_a_cluster_or_an_engine_belongs_to_one_suite() -> None:
    tests = [path for path in TRACKED if path.startswith(NEEDY) and Path(path).name.startswith("test_")]
    assert tests
    for path in tests:
        owners = [name for name, suite in SUITES.items() if any(path.startswith(file) for file in suite.files)]
        assert len(owners) == 1, f"{path} belongs to {owners}"


@pytest.mark.parametrize(("name", "suite"), SUITES.items())
def test_every_pattern_of_a_suite_matches_a_file_that_is_there(name: str, suite: object) -> None:
    del suite
    for pattern in (*SUITES[name].touched_by, *(f"{file}*" for file in SUITES[name].files)):
        assert fnmatch.filter(TRACKED, pattern), f"{name}: {pattern} matches nothing"


def test_the_parts_hold_every_suite_once_and_none_lasts_over_80_minutes() -> None:
    assert sorted(name for part in PARTS for name in of_part(part)) == sorted(SUITES)
    assert PARTS[0] == CORE
    assert max(sum(SUITES[name].minutes for name in of_part(part)) for part in PARTS) < 80


def test_a_changed_file_touches_the_suites_that_depend_on_it() -> None:
    changed = ["sidecar/larder_sidecar/weights/store/prune.py"]
    touched = [name for name, suite in SUITES.items() if suite.is_touched(changed)]
    assert touched == ["weights", "prune", "prebuilt", "bad-input"]
    assert not [name for name, suite in SUITES.items() if suite.is_touched(["README.md"])]


@pytest.mark.parametrize(
    ("minutes", "proven", "chosen"),
    [
        (100, [], ["weights", "prune", "bad-input"]),
        (0, [], []),
        (4, ["prune", "bad-input"], ["weights", "prune"]),  # never proven comes first, then the oldest proof that fits
        (4, ["bad-input", "weights", "prune"], ["prune", "bad-input"]),
    ],
)
def test_touched_suites_share_the_minutes_by_the_age_of_their_proofs(
    minutes: float, proven: list[str], chosen: list[str]
) -> None:
    assert within(minutes, ["bad-input", "prune", "weights"], proven) == chosen


@pytest.mark.parametrize(
    ("only", "part", "minutes", "said"),
    [
        ("swop", "", "", "ONLY=swop: no such suite. Fix: choose one of engines, upgrade, ollama"),
        ("", "4", "", "PART=4: no such part. Fix: choose one of core, 2, 3"),
        ("", "core", "ten", "TOUCHED=ten: not a number of minutes. Fix: write TOUCHED=10"),
    ],
)
def test_a_word_that_names_nothing_is_refused(only: str, part: str, minutes: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        e2e.chosen(only, part, minutes)


def test_without_a_word_every_suite_runs_and_with_one_its_own() -> None:
    assert e2e.chosen("", "", "") == list(SUITES)
    assert e2e.chosen("swap", "2", "") == ["swap"]
    assert e2e.chosen("", "2", "") == of_part("2")


def test_touched_suites_are_added_to_a_part(capsys: pytest.CaptureFixture[str]) -> None:
    names = e2e.chosen("", CORE, "0")
    assert names == of_part(CORE)
    assert "Touched since their last proof: " in capsys.readouterr().out


TESTS = """
import pytest

def test_passes(): pass

def test_skips(): pytest.skip("lacks its part")

def test_fails(): assert False

@pytest.fixture
def broken(): raise RuntimeError

def test_is_in_error(broken): pass
"""


def test_the_report_of_a_run_is_split_by_suite(tmp_path: Path) -> None:
    file = tmp_path / "tests" / "e2e" / "test_prune.py"
    file.parent.mkdir(parents=True)
    file.write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    words = ["-q", "-p", "no:cacheprovider", f"--junitxml={tmp_path}/report.xml", f"--rootdir={tmp_path}"]
    env = {"PATH": os.defpath, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run(
        [sys.executable, "-m", "pytest", *words, file], cwd=tmp_path, env=env, capture_output=True, check=False
    )
    found = proof.outcomes(tmp_path / "report.xml", ["prune", "swap"])
    assert found["prune"].counts == {"passed": 1, "skipped": 1, "failed": 2}
    assert set(found["prune"].tests) == {"test_passes", "test_skips", "test_fails", "test_is_in_error"}
    assert found["swap"].counts == {}


@pytest.mark.parametrize(
    ("counts", "passed"),
    [
        ({"passed": 1}, True),
        ({"passed": 1, "skipped": 1}, False),
        ({"passed": 1, "failed": 1}, False),
        ({}, False),
    ],
)
def test_a_suite_has_passed_if_every_test_of_it_ran_and_passed(counts: dict[str, int], passed: bool) -> None:
    assert proof.Outcome(counts, {}).passed is passed


def test_a_run_that_died_before_its_report_has_proven_nothing(tmp_path: Path) -> None:
    assert not proof.outcomes(tmp_path / "report.xml", ["swap"])["swap"].passed


def test_a_proof_is_replaced_by_the_next_run_that_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "PROOF", tmp_path / "proof.json")
    proof.record({"swap": proof.Outcome({"passed": 1}, {"test_a": 2.0}), "ui": proof.Outcome({"failed": 1}, {})})
    assert {name: dict(found.tests) for name, found in proof.read().items()} == {"swap": {"test_a": 2.0}}
    proof.record({"swap": proof.Outcome({"failed": 1}, {}), "ui": proof.Outcome({"passed": 3}, {"test_b": 1.0})})
    found = proof.read()
    assert set(found) == {"swap", "ui"}
    assert found["ui"].output == "3 passed in 1 s"
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found["swap"].commit == head.stdout.strip()
