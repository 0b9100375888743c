"""One writer at a time; a dead one is replaced, a live one never."""

import fcntl
import json
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.weights.errors import LeaseError
from larder_sidecar.weights.store.lease import Lease
from larder_sidecar.weights.store.lease_holder import Holder


def lease(path: Path, wait: float = 0, *, renew: float = 0.05, stale: float = 60) -> Lease:
    return Lease(path, wait_seconds=wait, renew_seconds=renew, stale_seconds=stale, poll_seconds=0.02)


def foreign(path: Path, age: float) -> None:
    """A lease that a machine elsewhere last renewed `age` seconds ago."""
    path.write_text(json.dumps({"id": "theirs", "host": "elsewhere", "kernel": "other"}))
    os.utime(path, (time.time() - age, time.time() - age))


def test_the_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    with (
        lease(tmp_path / "lease"),
        pytest.raises(LeaseError, match="has been filling the store"),
        lease(tmp_path / "lease"),
    ):
        pass
    with lease(tmp_path / "lease") as second:
        second.confirm()
    assert list(tmp_path.iterdir()) == []


def test_a_lease_that_somebody_else_locks_at_once_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, made = tmp_path / "lease", os.open
    monkeypatch.setattr("larder_sidecar.weights.store.lease.LOCK_SECONDS", 0.2)
    held: list[int] = []

    def watched(name: str, *more: Any, **most: Any) -> int:
        """The other is there before we have the lock."""
        handle = made(name, *more, **most)
        if str(name) == str(path) and not held:
            held.append(made(path, os.O_RDONLY))
            fcntl.flock(held[0], fcntl.LOCK_EX)
        return handle

    monkeypatch.setattr(os, "open", watched)
    with pytest.raises(LeaseError, match="keeps our lease locked"), lease(path):
        pass
    os.close(held[0])
    assert not path.exists()


def test_a_lease_of_another_machine_is_believed_for_a_minute(tmp_path: Path) -> None:
    foreign(tmp_path / "lease", age=50)
    with pytest.raises(LeaseError, match="elsewhere"), lease(tmp_path / "lease", wait=0.2):
        pass
    foreign(tmp_path / "lease", age=61)
    with lease(tmp_path / "lease", wait=10) as ours:
        ours.confirm()


def test_a_clock_that_was_set_back_does_not_keep_a_dead_holder_alive(tmp_path: Path) -> None:
    foreign(tmp_path / "lease", age=-3600)
    with lease(tmp_path / "lease", wait=10, stale=0.1) as ours:
        ours.confirm()


def test_a_clock_that_was_set_forth_costs_no_live_holder_its_lease(tmp_path: Path) -> None:
    foreign(tmp_path / "lease", age=3600)

    def renewed(holder: Holder) -> bool:
        os.utime(tmp_path / "lease", ns=(0, (tmp_path / "lease").stat().st_mtime_ns + 1))
        return False

    waiter = Lease(tmp_path / "lease", wait_seconds=0.2, waiting=renewed, renew_seconds=0.04, poll_seconds=0.02)
    with pytest.raises(LeaseError, match="elsewhere"), waiter:
        pass


def test_a_holder_that_lives_but_does_not_move_is_named_with_the_way_out(tmp_path: Path) -> None:
    waiter = lease(tmp_path / "lease", wait=0.1, stale=0.05)
    with lease(tmp_path / "lease", renew=60), pytest.raises(LeaseError) as caught, waiter:
        pass
    host = os.uname().nodename
    assert re.search(
        rf"{host} has been filling the store since 2\d{{3}}-.*T.*, last sign of life \d+ s ago", caught.value.reason
    )
    assert f"kubectl delete pod {host}" in caught.value.remedy


@pytest.mark.parametrize("host", ["x; reboot", "\x1b[31m", 7])
def test_a_name_that_no_host_has_is_not_repeated(tmp_path: Path, host: object) -> None:
    (tmp_path / "lease").write_text(json.dumps({"id": "theirs", "host": host, "kernel": "other"}))
    with pytest.raises(LeaseError, match="unknown has been filling"), lease(tmp_path / "lease"):
        pass


def test_a_holder_killed_before_it_wrote_its_name_is_replaced_in_time(tmp_path: Path) -> None:
    (tmp_path / "lease").touch()
    with pytest.raises(LeaseError, match="unknown"), lease(tmp_path / "lease"):
        pass
    os.utime(tmp_path / "lease", (0, 0))
    with lease(tmp_path / "lease", wait=10):
        pass


def test_a_live_holder_renews(tmp_path: Path) -> None:
    with lease(tmp_path / "lease") as ours:
        os.utime(tmp_path / "lease", (0, 0))
        time.sleep(0.3)
        assert time.time() - (tmp_path / "lease").stat().st_mtime < 10
        ours.check()


def test_who_lost_the_lease_stops_and_leaves_the_new_one_alone(tmp_path: Path) -> None:
    with lease(tmp_path / "lease") as ours:
        (tmp_path / "lease").unlink()
        foreign(tmp_path / "lease", age=0)
        with pytest.raises(LeaseError, match="has taken the store over"):
            ours.confirm()
        with pytest.raises(LeaseError):
            ours.check()
    assert json.loads((tmp_path / "lease").read_text())["id"] == "theirs"


def test_waiting_ends_early_when_the_work_is_done(tmp_path: Path) -> None:
    foreign(tmp_path / "lease", age=0)
    with Lease(tmp_path / "lease", wait_seconds=60, waiting=lambda holder: holder.host == "elsewhere") as ours:
        assert not ours.held
    assert (tmp_path / "lease").exists()


def test_a_holder_that_came_between_the_look_and_the_rename_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two find a dead lease; the slower one acts when the faster one holds the store already."""
    path = tmp_path / "lease"
    foreign(path, age=3600)
    slow, fast = lease(path, wait=10), lease(path)
    look = Path.rename

    def late(source: Path, target: Path) -> Path:
        monkeypatch.undo()
        with pytest.raises(LeaseError), fast:
            pass
        return look(source, target)

    monkeypatch.setattr(Path, "rename", late)
    with slow:
        slow.confirm()
    assert list(tmp_path.iterdir()) == []


def test_many_that_find_a_dead_lease_never_hold_it_together(tmp_path: Path) -> None:
    foreign(tmp_path / "lease", age=3600)
    inside, most, taken = 0, 0, 0
    count = threading.Lock()

    def work() -> None:
        nonlocal inside, most, taken
        with Lease(tmp_path / "lease", wait_seconds=20, renew_seconds=0.05, poll_seconds=0.02) as ours:
            with count:
                inside += 1
                most, taken = max(most, inside), taken + 1
            ours.confirm()
            time.sleep(0.005)
            with count:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, taken) == (1, 4)
