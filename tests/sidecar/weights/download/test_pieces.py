"""A large file comes in pieces over several connections and is one file: also killed, lied to or throttled."""

import random
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from larder_sidecar.weights.download import files
from larder_sidecar.weights.download.hosts import CONNECTIONS, Host, Hosts
from larder_sidecar.weights.download.partial import Part
from larder_sidecar.weights.download.pieces import (
    MAX_FILE,
    MAX_PIECE,
    MIN_PIECE,
    PieceJournal,
    Pieces,
    max_pieces,
    piece_length,
)
from larder_sidecar.weights.download.workers import Workers
from larder_sidecar.weights.errors import BusyError, ContentError, DiskFullError, FetchError
from larder_sidecar.weights.retry import Patience, Tries
from larder_sidecar.weights.store.lease import Lease

from testbed.hub.faults import Faults
from testbed.hub.server import Hub
from tests.sidecar.weights.download.test_fetch import file_size_limit
from tests.sidecar.weights.download.test_interruption import done, until
from tests.sidecar.weights.kitchen import PATIENCE, Kitchen
from tests.sidecar.weights.warm import Forked

LARGE = 3 * MIN_PIECE + 1000
"""Bytes; four pieces."""


def test_pieces_are_fetched_side_by_side_and_each_byte_once(kitchen: Kitchen) -> None:
    it = kitchen.publish(size=LARGE)
    hub = kitchen.hub(Faults(bytes_per_second=40_000_000))
    assert kitchen.fetch(kitchen.plan(hub)).fetched_bytes == it.bytes
    assert kitchen.models() == {"tiny:latest"}
    asked = {line.split()[2] for line in hub.stats.log if line.startswith("GET")}
    assert asked == {f"bytes={n * MIN_PIECE}-{min((n + 1) * MIN_PIECE, LARGE) - 1}" for n in range(4)}


HARMLESS = {
    "cut in many places": Faults(cut_after=1_500_000, cuts=6),
    "no ranges at all": Faults(no_ranges=True),
    "no ranges from one of the mirrors": Faults(no_ranges_beyond=2 * MIN_PIECE),
    "shorter ranges than asked for": Faults(short_ranges=1_000_000),
    "busy for a while": Faults(busy=3),
    "mirrors that name one content differently": Faults(changes_at=MIN_PIECE),
    "another place than asked for": Faults(wrong_span=True),
}


@pytest.mark.parametrize("faults", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_a_server_may_do_costs_requests_and_no_byte_of_the_file(kitchen: Kitchen, faults: Faults) -> None:
    kitchen.publish(size=LARGE)
    kitchen.fetch(kitchen.plan(kitchen.hub(faults)), patience=replace(PATIENCE, failures=6))
    assert kitchen.models() == {"tiny:latest"}


LIES: dict[str, tuple[Faults, type[FetchError], str]] = {
    "garbage": (Faults(garbage=True), ContentError, "the content has sha256"),
}


@pytest.mark.parametrize(("faults", "error", "says"), LIES.values(), ids=LIES.keys())
def test_what_a_server_must_not_do_is_named(
    kitchen: Kitchen, faults: Faults, error: type[FetchError], says: str
) -> None:
    kitchen.publish(size=LARGE)
    with pytest.raises(error, match=says):
        kitchen.fetch(kitchen.plan(kitchen.hub(faults)))
    assert kitchen.models() == set()
    kitchen.fetch(kitchen.plan(kitchen.hub()))
    assert kitchen.models() == {"tiny:latest"}


@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again_every_piece_is_resumed(kitchen: Kitchen, seed: int) -> None:
    it = kitchen.publish(size=LARGE)
    hub = kitchen.hub(Faults(bytes_per_second=8_000_000))
    plan, moments = kitchen.plan(hub), random.Random(seed)
    for _ in range(3):
        served = sum(hub.stats.bytes.values())
        process = kitchen.process(plan, "--lease-seconds", "0")
        until(partial(_more_than_or_over, hub, served, process))
        time.sleep(moments.uniform(0, 0.15))
        process.kill()
        process.wait()
        assert kitchen.models() <= {"tiny:latest"}
    hub.faults = Faults()
    assert done(kitchen.process(plan, "--lease-seconds", "0"))["fetched_bytes"] < it.bytes
    assert kitchen.models() == {"tiny:latest"}


def _more_than_or_over(hub: Hub, served: int, process: Forked) -> bool:
    return _more_than(hub, served) or process.poll() is not None


def _more_than(hub: Hub, served: int) -> bool:
    return sum(hub.stats.bytes.values()) > served


def test_a_full_disk_in_the_middle_of_pieces_is_named_and_resumed(kitchen: Kitchen) -> None:
    it = kitchen.publish(size=LARGE)
    plan = kitchen.plan(kitchen.hub())
    with file_size_limit(2 * MIN_PIECE), pytest.raises(FetchError, match="too large"):
        kitchen.fetch(plan)
    assert kitchen.models() == set()
    assert kitchen.fetch(plan).fetched_bytes < it.bytes
    assert kitchen.models() == {"tiny:latest"}


@pytest.mark.parametrize("spoil", [b"", b'{"etag": null', b'{"have": [1, 2, 3, 4]}', b"\0" * 100])
def test_a_torn_journal_costs_bytes_and_never_correctness(kitchen: Kitchen, spoil: bytes) -> None:
    it = kitchen.publish(size=LARGE)
    parts = kitchen.root / ".larder/parts"
    parts.mkdir(parents=True)
    (parts / it.sha256).write_bytes(b"x" * LARGE)
    (parts / f"{it.sha256}.json").write_bytes(spoil)
    assert kitchen.fetch(kitchen.plan(kitchen.hub())).fetched_bytes == it.bytes
    assert kitchen.models() == {"tiny:latest"}


def test_a_journal_says_after_a_restart_what_it_said_before(kitchen: Kitchen) -> None:
    path = kitchen.folder / "journal"
    first = PieceJournal(path, LARGE)
    first.restart('"tag"')
    first.write_count(first.pieces.add(MIN_PIECE, 77))
    first.close()
    again = PieceJournal(path, LARGE)
    assert (again.etag, again.pieces.counts, again.pieces.held) == ('"tag"', [0, 77, 0, 0], 77)
    again.close()
    other = PieceJournal(path, LARGE + 1)
    assert (other.etag, other.pieces.held) == (None, 0)
    other.close()


def test_the_front_ends_at_the_first_gap_and_pieces_are_taken_once() -> None:
    pieces = Pieces(10, 4)
    first, second = pieces.take(), pieces.take()
    assert first
    assert second
    assert (first.start, first.stop, second.start, second.stop) == (0, 4, 4, 8)
    pieces.add(4, 4)
    assert pieces.front == 0
    pieces.add(0, 4)
    assert pieces.front == 8
    pieces.release(first)
    last = pieces.take()
    assert last
    assert (last.start, last.stop) == (8, 10)
    assert pieces.take() is None
    pieces.add(8, 2)
    assert pieces.complete
    assert pieces.front == 10


@pytest.mark.parametrize(
    ("size", "length"), [(1, MIN_PIECE), (LARGE, MIN_PIECE), (256 << 20, 16 << 20), (70 << 30, MAX_PIECE)]
)
def test_pieces_are_neither_many_nor_large(size: int, length: int) -> None:
    assert piece_length(size) == length


def test_a_host_gets_no_more_connections_than_it_may_and_fewer_when_it_is_busy() -> None:
    host, inside, most = Host(3), threading.Semaphore(0), [0]
    used, lock = [0], threading.Lock()

    def ask() -> None:
        with host.connection(lambda: None):
            with lock:
                used[0] += 1
                most[0] = max(most[0], used[0])
            inside.acquire(timeout=0.02)
            with lock:
                used[0] -= 1

    for limit in (3, 1):
        most[0] = 0
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most[0] == limit
        host.back_off(0, busy=True)


def test_a_host_that_rests_is_asked_by_nobody() -> None:
    now, waited = [0.0], list[float]()
    host = Host(clock=lambda: now[0])
    host.back_off(2.5, busy=False)

    def pause(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    with host.connection(lambda: None, pause):
        assert sum(waited) == 2.5


def test_a_host_that_was_busy_for_one_file_is_spared_for_the_next(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = list[int]()
    start = Workers.start

    def counted(workers: Workers, count: int) -> None:
        started.append(count)
        start(workers, count)

    monkeypatch.setattr(Workers, "start", counted)
    monkeypatch.setattr(files, "MAX_PARALLEL", 1)
    kitchen.publish("a", size=LARGE)
    kitchen.publish("b", seed=1, size=LARGE)
    kitchen.fetch(kitchen.plan(kitchen.hub(Faults(busy=1))))
    assert set(started) == {CONNECTIONS // 2 - 1}


def test_hosts_are_told_apart_by_name_and_port() -> None:
    hosts = Hosts()
    assert hosts.for_url("https://a.test/x") is hosts.for_url("https://a.test/y?z")
    assert len({id(hosts.for_url(f"https://{place}/x")) for place in ("a.test", "b.test", "a.test:8443")}) == 3


def test_connections_that_fail_together_count_as_one_failure() -> None:
    tries, error = Tries(Patience(failures=3, first_wait=0)), BusyError("busy")
    began = time.monotonic()
    assert tries.next_wait(error, began=began, progress=0) is not None
    assert [tries.next_wait(error, began=began, progress=0) for _ in range(5)] == [None] * 5
    assert tries.next_wait(error, began=time.monotonic(), progress=0) is not None
    with pytest.raises(BusyError):
        tries.next_wait(error, began=time.monotonic(), progress=0)


def test_a_lease_that_was_lost_ends_all_connections(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen.publish(size=LARGE)
    calls = [0]
    real = Lease.check

    def check(lease: Lease) -> None:
        calls[0] += 1
        if calls[0] == 10:
            lease._lost.set()
        real(lease)

    monkeypatch.setattr(Lease, "check", check)
    with pytest.raises(FetchError, match="another writer has taken the store over"):
        kitchen.fetch(kitchen.plan(kitchen.hub()))
    until(lambda: "fetch" not in {thread.name for thread in threading.enumerate()})
    assert kitchen.models() == set()


def test_who_leads_starts_over_only_while_nobody_helps(kitchen: Kitchen) -> None:
    """Every connection of the first rounds ends before its first byte; none may drop what another has written."""
    it = kitchen.publish(size=LARGE)
    hub = kitchen.hub(Faults(cut_after=0, cuts=5))
    assert kitchen.fetch(kitchen.plan(hub), patience=replace(PATIENCE, failures=8)).fetched_bytes == it.bytes
    assert kitchen.models() == {"tiny:latest"}
    assert "restarted" not in kitchen.events()


@pytest.mark.parametrize("size", [1, MIN_PIECE, 10**9, 10**12, 3 * 10**15, 9 * 10**17])
def test_no_size_makes_more_pieces_than_memory_has_room_for(size: int) -> None:
    pieces = Pieces(size, piece_length(size))
    assert len(pieces.counts) <= max_pieces(size) <= 1 << 16
    assert sum(pieces.piece_size(number) for number in range(len(pieces.counts))) == size


def test_a_size_that_no_disk_has_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match="more than any disk"):
        Part(tmp_path / "part", MAX_FILE + 1)
    assert list(tmp_path.iterdir()) == []
