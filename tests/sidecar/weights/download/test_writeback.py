"""The disk is told early of what has come: each step of a file once, in whatever chunks it was written."""

from pathlib import Path

import pytest
from larder_sidecar.weights.download import writeback
from larder_sidecar.weights.download.writeback import STEP

CASES: dict[str, tuple[list[int], list[tuple[int, int]]]] = {
    "less than a step is left for the end": ([STEP - 1], []),
    "a step is begun with when its last byte is there": ([STEP - 1, 1], [(0, STEP)]),
    "a chunk that goes on into the next step": ([STEP - 5, 10, STEP], [(0, STEP), (STEP, STEP)]),
    "a chunk over several": ([3 * STEP + 1], [(0, 3 * STEP)]),
}


@pytest.mark.parametrize(("chunks", "begun"), CASES.values(), ids=CASES.keys())
def test_each_step_is_begun_with_once(
    monkeypatch: pytest.MonkeyPatch, chunks: list[int], begun: list[tuple[int, int]]
) -> None:
    asked = list[tuple[int, int]]()
    monkeypatch.setattr(writeback, "_call", lambda file, start, count, how: asked.append((start, count)))
    at = 0
    for chunk in chunks:
        writeback.start_writeback(-1, at, at + chunk)
        at += chunk
    assert asked == begun


def test_a_system_that_cannot_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writeback, "_call", None)
    writeback.start_writeback(-1, 0, STEP)


@pytest.mark.skipif(writeback._call is None, reason="Linux alone has sync_file_range")
def test_the_kernel_takes_the_call(tmp_path: Path) -> None:
    assert writeback._call
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(STEP))
        file.flush()
        assert writeback._call(file.fileno(), 0, STEP, 2) == 0
        assert writeback._call(-1, 0, STEP, 2) == -1
