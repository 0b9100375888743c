"""Several files of a plan come at a time, within what their hosts are asked for, and end together."""

import threading
from dataclasses import replace

import pytest
from larder_sidecar.config.weights import WeightsFile
from larder_sidecar.weights.download.hosts import CONNECTIONS, Host
from larder_sidecar.weights.errors import NotFoundError, StallError
from larder_sidecar.weights.sources.by_url import Sources
from larder_sidecar.weights.sources.source import FileMetadata

from testbed.hub.faults import Faults
from tests.sidecar.weights.download.test_interruption import KEPT, STALLED, stalled, until
from tests.sidecar.weights.kitchen import BIG, PATIENCE, Kitchen

NAMES = [f"m{number}" for number in range(CONNECTIONS + 2)]


def test_files_come_side_by_side(kitchen: Kitchen) -> None:
    """The hub answers nobody until it is asked for as many as may come at a time."""
    sizes = [kitchen.publish(name, seed=seed).bytes for seed, name in enumerate(NAMES)]
    hub = kitchen.hub(Faults(gather=CONNECTIONS))
    assert kitchen.fetch(kitchen.plan(hub), patience=replace(PATIENCE, stall_seconds=5)).fetched_bytes == sum(sizes)
    assert sum(hub.stats.bytes.values()) == sum(sizes)
    assert kitchen.models() == {f"{name}:latest" for name in NAMES}


def test_one_host_is_not_asked_for_more_than_it_may_be(kitchen: Kitchen) -> None:
    """The hub waits for one more, in vain."""
    for seed, name in enumerate(NAMES):
        kitchen.publish(name, seed=seed)
    with pytest.raises(StallError):
        kitchen.fetch(kitchen.plan(kitchen.hub(Faults(gather=CONNECTIONS + 1))))


def test_who_asks_a_host_first_gets_a_connection_first() -> None:
    """A large file asks again as soon as it has a piece; a small one that waits has its turn before."""
    host, came = Host(1), list[str]()

    def ask(who: str) -> None:
        with host.connection(lambda: None):
            came.append(who)

    others = [threading.Thread(target=ask, args=(who,)) for who in ("small", "smaller")]
    with host.connection(lambda: None):
        for number, thread in enumerate(others):
            thread.start()
            until(lambda asked=number + 1: len(host._queue) == asked)  # type: ignore[misc]  # (a default binds it)
        again = threading.Thread(target=ask, args=("large",))
        again.start()
        until(lambda: len(host._queue) == 3)
    for thread in (*others, again):
        thread.join()
    assert came == ["small", "smaller", "large"]


def test_who_gives_up_waiting_holds_nobody_up() -> None:
    host = Host(1)

    def give_up() -> None:
        raise StallError("enough")

    with host.connection(lambda: None), pytest.raises(StallError), host.connection(give_up):
        pass
    looks = iter(range(3))

    def wait_a_little() -> None:
        next(looks)

    with host.connection(wait_a_little):
        pass


def test_the_first_error_ends_the_others_at_once_and_what_came_of_them_is_resumed(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file stalls, with more patience than this test has, when another turns out not to exist."""
    it = kitchen.publish("slow", size=BIG)
    kitchen.publish("gone", seed=1)
    hub = kitchen.hub(STALLED)
    plan = kitchen.plan(hub)
    metadata = Sources.metadata

    def late(sources: Sources, file: WeightsFile) -> FileMetadata:
        if file.path == "gone.gguf":
            until(stalled(kitchen))
            raise NotFoundError("gone", "Look elsewhere.")
        return metadata(sources, file)

    monkeypatch.setattr(Sources, "metadata", late)
    with pytest.raises(NotFoundError):
        kitchen.fetch(plan, patience=replace(PATIENCE, stall_seconds=60))
    until(lambda: "fetch" not in {thread.name for thread in threading.enumerate()})
    assert "retry" not in kitchen.events()
    assert kitchen.models() == set()

    monkeypatch.setattr(Sources, "metadata", metadata)
    hub.faults = Faults()
    assert kitchen.fetch(plan).fetched_bytes == it.bytes - KEPT + kitchen.published["gone"].bytes
    assert kitchen.models() == {"slow:latest", "gone:latest"}


def test_an_error_that_nobody_foresaw_reaches_who_waits(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen.publish()

    def broken(sources: Sources, file: WeightsFile) -> FileMetadata:
        raise LookupError(file.path)

    monkeypatch.setattr(Sources, "metadata", broken)
    with pytest.raises(LookupError, match=r"tiny\.gguf"):
        kitchen.fetch(kitchen.plan(kitchen.hub()))


def test_a_content_that_two_models_have_comes_once(kitchen: Kitchen) -> None:
    size = kitchen.publish("one").bytes
    kitchen.publish("two")
    hub = kitchen.hub()
    summary = kitchen.fetch(kitchen.plan(hub))
    assert (summary.fetched_bytes, summary.reused_bytes) == (size, size)
    assert sum(hub.stats.bytes.values()) == size
    assert kitchen.models() == {"one:latest", "two:latest"}
