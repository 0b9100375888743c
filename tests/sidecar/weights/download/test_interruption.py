"""Killed, stopped or doubled: the store is without the model or complete, and no byte is fetched twice."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.weights.signals import SIGNALS, exit_on_signals

from testbed.hub.faults import Faults
from tests.sidecar.weights.kitchen import BIG, Kitchen
from tests.sidecar.weights.warm import Forked

KEPT = 500_000
STALLED = Faults(stall_after=KEPT)


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def stalled(kitchen: Kitchen) -> Callable[[], bool]:
    return lambda: kitchen.part_bytes() == KEPT


def first_event(process: Forked) -> str:
    assert process.stdout
    return str(json.loads(process.stdout.readline())["event"])


def done(process: Forked) -> dict[str, Any]:
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    last: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert last.pop("event") == "done"
    return last


def test_killed_in_the_middle_the_next_start_fetches_only_the_rest(kitchen: Kitchen) -> None:
    it = kitchen.publish(size=BIG)
    process = kitchen.process(kitchen.plan(kitchen.hub(STALLED)))
    until(stalled(kitchen))
    process.kill()
    process.wait()
    assert kitchen.models() == set()

    hub = kitchen.hub()
    # No waiting: a dead holder of this machine has no lease.
    summary = done(kitchen.process(kitchen.plan(hub), "--lease-seconds", "0"))

    assert summary["fetched_bytes"] == it.bytes - KEPT
    assert sum(hub.stats.bytes.values()) == it.bytes - KEPT
    assert kitchen.models() == {"tiny:latest"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_politely_it_gives_the_lease_back(kitchen: Kitchen, number: signal.Signals) -> None:
    kitchen.publish(size=BIG)
    process = kitchen.process(kitchen.plan(kitchen.hub(STALLED)))
    until(stalled(kitchen))
    process.send_signal(number)
    assert process.wait(10) == 128 + number
    assert not (kitchen.root / ".larder/lease").exists()


def test_a_stop_waits_for_nobody(tmp_path: Path) -> None:
    """The main thread is in a call that does not come back, as after a lock that an exception left taken."""
    program = """
import pathlib, sys, threading
from larder_sidecar.weights.store.lease import Lease
from larder_sidecar.weights.signals import exit_on_signals

taken = threading.Lock()
with exit_on_signals(), Lease(pathlib.Path(sys.argv[1]), wait_seconds=0):
    taken.acquire()
    print("in", flush=True)
    try:
        taken.acquire()
    finally:
        taken.acquire()
"""
    lease = tmp_path / "lease"
    command = [sys.executable, "-c", program, str(lease)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "in\n"
        assert lease.exists()
        process.terminate()
        assert process.wait(10) == 128 + signal.SIGTERM
    assert not lease.exists()


def test_after_its_work_a_process_heeds_signals_as_before() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with exit_on_signals():
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before | SIGNALS
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert "stop" not in {thread.name for thread in threading.enumerate()}


def test_of_two_writers_one_fetches_and_the_other_uses_it(kitchen: Kitchen) -> None:
    it = kitchen.publish(size=BIG)
    hub = kitchen.hub(STALLED)
    plan = kitchen.plan(hub)
    both = [kitchen.process(plan), kitchen.process(plan)]
    assert {first_event(process) for process in both} == {"fetching", "waiting"}
    hub.faults = Faults()

    fetched = sorted(done(process)["fetched_bytes"] for process in both)

    assert fetched == [0, it.bytes]
    assert sum(hub.stats.bytes.values()) == it.bytes
    assert kitchen.models() == {"tiny:latest"}


def test_the_survivor_of_two_writers_goes_on(kitchen: Kitchen) -> None:
    kitchen.publish(size=BIG)
    hub = kitchen.hub(STALLED)
    plan = kitchen.plan(hub)
    first = kitchen.process(plan)
    until(stalled(kitchen))
    second = kitchen.process(plan)
    assert first_event(second) == "waiting"
    first.kill()
    first.wait()
    hub.faults = Faults()
    assert done(second)["fetched_bytes"] == BIG - KEPT
    assert kitchen.models() == {"tiny:latest"}


def test_another_writer_is_named_when_the_wait_is_over(kitchen: Kitchen) -> None:
    kitchen.publish(size=BIG)
    plan = kitchen.plan(kitchen.hub(STALLED))
    first = kitchen.process(plan)
    assert first_event(first) == "fetching"
    second = kitchen.process(plan, "--lease-seconds", "0")
    _, errors = second.communicate(timeout=20)
    assert second.returncode == 1
    assert f"{os.uname().nodename} has been filling the store" in errors
    assert first.poll() is None


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_no_listed_model_is_incomplete(kitchen: Kitchen, seed: int) -> None:
    """Three models arrive in turn; `models` reads every blob that a manifest names and compares its hash."""
    sizes = [kitchen.publish(name, seed=number, size=400_000).bytes for number, name in enumerate(("a", "b", "c"))]
    hub = kitchen.hub(Faults(bytes_per_second=4_000_000))
    plan = kitchen.plan(hub)
    moments = random.Random(seed)
    for _ in range(2):
        process = kitchen.process(plan)
        until(lambda: (kitchen.root / ".larder").exists())
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.wait()
        assert kitchen.models() <= {"a:latest", "b:latest", "c:latest"}
    assert kitchen.fetch(plan).fetched_bytes <= sum(sizes)
    assert kitchen.models() == {"a:latest", "b:latest", "c:latest"}
