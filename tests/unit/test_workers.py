"""Workers run each test once, tell of it as one process would, and of one that ends a worker too."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace as Item

from hypothesis import given
from hypothesis import strategies as st

from components import ROOT
from tests.workers import LARGEST, batches

TESTS = """
import os
import pytest

@pytest.mark.parametrize("number", range(45))
def test_passes(number, tmp_path):
    (tmp_path / "x").write_text("x")

@pytest.mark.together("a group")
def test_ends_its_worker():
    os._exit(7)

@pytest.mark.together("a group")
def test_comes_after_it():
    print("printed")
    assert [1] == [2]

def test_is_skipped():
    pytest.skip("why")
"""


def test_every_test_is_run_once_and_reported(tmp_path: Path) -> None:
    (tmp_path / "test_them.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n together(name): here\nasyncio_default_fixture_loop_scope = function"
    )
    plugins = ["-p", "tests.workers", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    command = [sys.executable, "-m", "pytest", *plugins, "--workers", "2", "--rootdir", str(tmp_path), str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "2 failed, 45 passed, 1 skipped" in ran.stdout
    assert "The worker ended with 7 in this test." in ran.stdout
    assert "assert [1] == [2]" in ran.stdout
    assert "printed" in ran.stdout
    assert ran.returncode == 1


def _item(path: str, group: str = "") -> Item:
    mark = Item(args=(group,)) if group else None
    return Item(path=path, get_closest_marker=lambda name: mark)


def test_a_group_is_one_batch_and_batches_of_modules_come_from_both_ends() -> None:
    alone, those = [_item("/a.py") for _ in range(3 * LARGEST + 1)], [_item(f"/{name}.py", "g") for name in "bc"]
    one, two, three, last = (alone[at : at + LARGEST] for at in range(0, len(alone), LARGEST))
    items = [those[0], *alone, those[1]]
    assert batches(items) == [those, one, last, two, three]  # type: ignore[arg-type]  # all that it looks at


@given(st.lists(st.sampled_from(["/a.py", "/b.py", "/c.py"]), max_size=200), st.integers(0, 5))
def test_every_item_is_in_one_batch(paths: list[str], groups: int) -> None:
    items = [*map(_item, paths), *(_item("/z.py", f"group {number}") for number in range(groups))]
    assert sorted(map(id, (item for batch in batches(items) for item in batch))) == sorted(map(id, items))  # type: ignore[arg-type]
