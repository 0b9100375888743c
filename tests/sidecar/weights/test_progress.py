"""Progress of a fetch reaches its readers, and does not wait for a reader that is absent."""

import fcntl
import io
import json
import os
from collections.abc import Iterator

import pytest
from larder_sidecar.weights.progress import Reporter, write_line
from larder_sidecar.weights.store.marker import marker_path

from tests.sidecar.weights.download.test_interruption import until
from tests.sidecar.weights.kitchen import Kitchen


@pytest.fixture
def unread() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe that is full."""
    read, write = os.pipe()
    size = fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.write(write, b"\n" * size)
    yield read, write
    os.close(read)
    os.close(write)


def test_a_download_goes_on_when_its_reader_has_gone(kitchen: Kitchen) -> None:
    kitchen.publish()
    read, write = os.pipe()
    process = kitchen.process(kitchen.plan(kitchen.hub()), stdout=write)
    os.close(read)
    os.close(write)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert kitchen.models() == {"tiny:latest"}
    assert "stdout" in errors
    assert "Traceback" not in errors
    assert "Errno" not in errors
    assert "volume" not in errors


def test_a_download_goes_on_while_nobody_reads_and_who_comes_back_gets_the_end(
    kitchen: Kitchen, unread: tuple[int, int]
) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    process = kitchen.process(plan, stdout=unread[1])
    until(lambda: marker_path(kitchen.root, plan.digest()).exists())
    os.read(unread[0], 4096)
    assert process.wait(20) == 0
    assert json.loads(os.read(unread[0], 4096))["event"] == "done"


def test_without_any_stdout_nothing_is_said() -> None:
    """Python has none where its file descriptor was closed before the start."""
    assert not write_line(None, "lost")


def test_a_line_is_written_whole_or_given_up(unread: tuple[int, int]) -> None:
    read, write = unread
    with open(write, "w", closefd=False) as out:
        assert not write_line(out, "lost", seconds=0.01)
        os.read(read, 4096)
        assert write_line(out, "heard")
        assert os.read(read, 4096) == b"heard\n"
        assert write_line(out, "x" * 4000)
        assert not write_line(out, "lost too")


def test_lines_that_were_not_taken_are_counted(unread: tuple[int, int]) -> None:
    with open(unread[1], "w", closefd=False) as out:
        reporter = Reporter(out)
        reporter.event("retry")
        reporter.event("retry")
    assert reporter.lost == 2


def test_progress_comes_every_two_seconds_with_rate_and_eta() -> None:
    log, now = io.StringIO(), iter([0.0, 1.0, 2.0, 3.0, 4.0])
    transfer = Reporter(log, clock=lambda: next(now)).transfer("f", total=1000, start=100)
    for have in (200, 300, 400, 500):
        transfer.at(have)
    assert [json.loads(line) for line in log.getvalue().splitlines()] == [
        {"event": "progress", "file": "f", "bytes": 300, "total": 1000, "bytes_per_second": 100, "eta_seconds": 7},
        {"event": "progress", "file": "f", "bytes": 500, "total": 1000, "bytes_per_second": 100, "eta_seconds": 5},
    ]


def test_progress_tells_of_all_files_where_more_are_to_come() -> None:
    log, now = io.StringIO(), iter([0.0, 2.0])
    reporter = Reporter(log, clock=lambda: next(now))
    reporter.queued = 600
    with reporter.transfer("f", total=1000, start=0) as transfer:
        transfer.at(200)
    told = json.loads(log.getvalue())
    assert (told["all_left_bytes"], told["all_eta_seconds"]) == (1400, 14)


def test_progress_tells_of_all_files_that_come_side_by_side() -> None:
    log, now = io.StringIO(), iter([0.0, 0.0, 2.0, 2.0])
    reporter = Reporter(log, clock=lambda: next(now))
    with reporter.transfer("a", total=1000, start=0) as a, reporter.transfer("b", total=2000, start=1000) as b:
        a.at(200)
        b.at(1800)
    told = json.loads(log.getvalue().splitlines()[-1])
    assert (told["bytes_per_second"], told["all_left_bytes"], told["all_eta_seconds"]) == (400, 1000, 2)
