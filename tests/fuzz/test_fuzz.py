"""Each target holds for its seeds and a few hundred inputs; `make fuzz` tries any number."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import TARGETS, crash_of, run
from tests.fuzz.target import BLOCK, Target

ROOT = Path(__file__).parents[2]
FEW = 150


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_parser(name: str) -> None:
    target = TARGETS[name]
    for data in itertools.islice(target.inputs("0", 0), FEW + len(target.seeds)):
        assert not (told := crash_of(target, data)), f"{data!r}\n{told}"


def test_inputs_are_the_same_for_the_same_seed() -> None:
    target = next(iter(TARGETS.values()))
    first, again, other = (list(target.inputs(seed, 1)) for seed in ("0", "0", "1"))
    assert first == again != other
    assert len(first) == BLOCK


def test_an_exception_and_a_slow_input_are_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(data: bytes) -> None:
        if b"x" in data:
            raise RecursionError

    monkeypatch.setitem(TARGETS, "broken", Target("broken", breaks, [b"x", b"y"]))
    found = run("broken", "0", 0)
    assert b"x" in found[0][0]
    assert "RecursionError" in found[0][1]
    monkeypatch.setattr("tests.fuzz.__main__.SLOW_SECONDS", 0.0)
    assert "it takes" in crash_of(TARGETS["broken"], b"y")


def test_the_command_knows_its_targets_and_reports_an_input(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b'"30m"')
    command = [sys.executable, "-m", "tests.fuzz"]
    here = dict(os.environ)
    unknown = subprocess.run(command, env={**here, "ONLY": "nothing"}, cwd=ROOT, capture_output=True, text=True)
    assert (unknown.returncode, "keep-alive" in unknown.stderr) == (2, True)
    given = {**here, "ONLY": "keep-alive", "INPUT": str(tmp_path / "input")}
    fine = subprocess.run(command, env=given, cwd=ROOT, capture_output=True, text=True)
    assert (fine.returncode, fine.stdout) == (0, "keep-alive: no crash\n")
