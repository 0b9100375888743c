"""A Job has one pod, so `fetch` itself tries again: for as long as it is told, and only where that may help."""

import contextlib
import io
import json
import os
import time
from collections.abc import Callable

import pytest
from larder_sidecar.config.weights import EXIT_PERMANENT, WeightsPlan
from larder_sidecar.weights.download.fetch import Fetch
from larder_sidecar.weights.errors import (
    BusyError,
    DeniedError,
    DiskFullError,
    FetchError,
    LeaseError,
    StoreError,
    TransientError,
)
from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.retry import Patience, retry_work
from larder_sidecar.weights.sources.by_url import Sources
from larder_sidecar.weights.store.disk import make_folders
from larder_sidecar.weights.store.lease import Lease
from larder_sidecar.weights.store.marker import Stored
from larder_sidecar.weights.store.ollama_layout import blob_path

from testbed.hub.faults import Faults
from tests.sidecar.weights.kitchen import Kitchen
from tests.sidecar.weights.scripted import Scripted

QUICK = Patience(first_wait=0.01, longest_wait=0.02)


def failing(*errors: FetchError) -> tuple[Callable[[float], str], list[float]]:
    """Work that fails with each of these, and then is done; and when it was begun."""
    left, began = list(errors), list[float]()

    def work(_: float) -> str:
        began.append(time.monotonic())
        if left:
            raise left.pop(0)
        return "done"

    return work, began


@pytest.mark.parametrize(
    "error",
    [TransientError("the hub answers 502"), BusyError("429"), LeaseError("held", "Wait."), StoreError("EIO", "Look.")],
    ids=lambda error: type(error).__name__,
)
def test_what_may_go_away_is_tried_again_and_told(error: FetchError) -> None:
    told: list[tuple[FetchError, float]] = []
    work, began = failing(*[error] * 5)
    assert retry_work(work, seconds=5, failed=lambda *it: told.append(it), pauses=QUICK) == "done"
    assert [one for one, _ in told] == [error] * 5
    assert all(after - before >= pause for before, after, (_, pause) in zip(began, began[1:], told, strict=False))


@pytest.mark.parametrize("error", [DeniedError("401", "Pass a token."), DiskFullError("full", "Make room.")])
def test_what_another_try_would_only_meet_again_ends_the_work_at_once(error: FetchError) -> None:
    work, began = failing(TransientError("502"), error)
    with pytest.raises(type(error)):
        retry_work(work, seconds=60, failed=lambda *_: None, pauses=QUICK)
    assert len(began) == 2


def test_nothing_is_tried_again_when_the_time_is_over_and_the_last_reason_is_the_one_told() -> None:
    work, began = failing(*(TransientError(f"failure {number}") for number in range(1000)))
    with pytest.raises(TransientError) as caught:
        retry_work(work, seconds=0.2, failed=lambda *_: None, pauses=QUICK)
    assert caught.value.reason == f"failure {len(began) - 1}"
    assert 2 < len(began) < 40
    assert began[-1] - began[0] < 2


def test_a_source_that_asks_for_more_time_than_there_is_ends_the_work_at_once() -> None:
    work, began = failing(BusyError("the hub answers 429", wait=3600))
    with pytest.raises(BusyError):
        retry_work(work, seconds=60, failed=lambda *_: None, pauses=QUICK)
    assert len(began) == 1


def test_each_try_is_told_how_much_time_is_left() -> None:
    told: list[float] = []

    def work(left: float) -> str:
        told.append(left)
        if len(told) < 3:
            raise TransientError("502")
        return "done"

    retry_work(work, seconds=60, failed=lambda *_: None, pauses=QUICK)
    assert 60 >= told[0] > told[1] > told[2] > 0


def test_a_rate_limit_that_outlasts_the_jobs_time_ends_the_process_with_its_words(kitchen: Kitchen) -> None:
    """The Job's deadline would cut the wait off, and the words with it."""
    kitchen.publish()
    limited = Scripted(lambda request: request.send(429, b"slow down", [("Retry-After", "600")]))
    with limited:
        began = time.monotonic()
        process = kitchen.process(kitchen.plan(limited.url), "--patience", "60")
        _, told = process.communicate(timeout=40)
        assert process.returncode == 1
        assert "429" in told
        assert "Traceback" not in told
        assert time.monotonic() - began < 30


def test_without_patience_there_is_one_try() -> None:
    work, began = failing(TransientError("502"))
    with pytest.raises(TransientError):
        retry_work(work, seconds=0, failed=lambda *_: None)
    assert len(began) == 1


def test_pauses_have_a_bound_however_many_tries_there_were() -> None:
    work, began = failing(*[TransientError("502")] * 3000)
    assert (
        retry_work(work, seconds=60, failed=lambda *_: None, pauses=Patience(first_wait=1e-9, longest_wait=1e-9))
        == "done"
    )
    assert len(began) == 3001


def test_the_process_waits_for_another_writer_to_end_and_then_fills_the_store(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    make_folders(kitchen.root)
    with Lease(kitchen.root / ".larder/lease", wait_seconds=5):
        process = kitchen.process(plan, "--lease-seconds", "0", "--patience", "60")
        assert process.stdout
        waiting, told = (json.loads(process.stdout.readline()) for _ in range(2))
    assert (waiting["event"], told["event"]) == ("waiting", "again")
    assert "has been filling the store" in told["reason"]
    assert told["seconds"] > 0
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["fetched_bytes"] == it.bytes


def test_the_process_is_not_patient_with_what_lasts(kitchen: Kitchen) -> None:
    kitchen.publish()
    began = time.monotonic()
    process = kitchen.process(kitchen.plan(kitchen.hub(Faults(refuse=(404, "EntryNotFound")))), "--patience", "600")
    out, _ = process.communicate(timeout=20)
    assert process.returncode == EXIT_PERMANENT
    assert '"again"' not in out
    assert time.monotonic() - began < 15


def _two_models(kitchen: Kitchen, verified: dict[str, Stored], second: Faults) -> list[str]:
    """One try to fetch model `a` from a hub that works and model `b` from another; the events of the try."""
    good, other = kitchen.hub(), kitchen.hub(second)
    models = [kitchen.plan(hub, name).models[0] for name, hub in (("a", good), ("b", other))]
    log = io.StringIO()
    with Sources(stall_seconds=5) as sources, contextlib.suppress(TransientError):
        run = Fetch(WeightsPlan(models=models), kitchen.root, sources, Reporter(log), QUICK, verified=verified)
        run.run()
    return [json.loads(line)["event"] for line in log.getvalue().splitlines()]


@pytest.mark.parametrize("touched", [False, True], ids=["untouched", "touched meanwhile"])
def test_the_next_try_does_not_read_again_what_this_process_has_verified(kitchen: Kitchen, touched: bool) -> None:
    """No marker vouches for it before the plan is complete."""
    it = kitchen.publish("a")
    kitchen.publish("b", seed=1)
    verified: dict[str, Stored] = {}
    for _ in range(20):  # both come at a time: a refusal of `b` may end a try in which `a` is not whole yet
        assert "done" not in _two_models(kitchen, verified, Faults(refuse=(503, None)))
        if verified:
            break
    blob = kitchen.root / blob_path(it.sha256)
    assert set(verified) == {blob_path(it.sha256)}
    if touched:
        os.utime(blob, (1, 1))
    assert ("verifying" in _two_models(kitchen, verified, Faults())) is touched
    assert kitchen.models() == {"a:latest", "b:latest"}
