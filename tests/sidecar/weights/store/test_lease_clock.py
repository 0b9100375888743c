"""A holder that renews keeps the lease whatever the clocks say; one that does not loses it within a minute."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.weights.store.lease import LeaseClock

RENEW, STALE, POLL = 10.0, 60.0, 8.0
OFFSETS = st.floats(-1e9, 1e9)
"""Seconds by which the storage's clock is wrong at a look; it may jump either way between any two."""


@dataclass
class Time:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.floats(0, RENEW), OFFSETS), max_size=20))
def test_a_holder_that_renews_is_never_replaced(looks: list[tuple[float, float]]) -> None:
    time = Time()
    watch = LeaseClock(RENEW, STALE, time)
    renewed = 0.0
    for seconds, offset in looks:
        time.now += seconds
        if time.now - renewed >= RENEW:
            renewed = time.now
        assert not watch.is_abandoned(sign=renewed, age=time.now - renewed + offset)


@given(st.lists(OFFSETS, min_size=int(STALE / POLL) + 2, max_size=20))
def test_a_holder_that_is_dead_is_replaced_after_a_minute_of_watching(offsets: list[float]) -> None:
    time = Time()
    watch = LeaseClock(RENEW, STALE, time)
    judged = []
    for offset in offsets:
        judged.append(watch.is_abandoned(sign="the same", age=time.now + offset))
        time.now += POLL
    assert judged[-1]


def test_the_clock_shortens_the_watch_to_two_renewals() -> None:
    time = Time()
    watch = LeaseClock(RENEW, STALE, time)
    seen = []
    for time.now in (0.0, 20.0, 20.1, 60.0, 60.1):
        seen.append((watch.is_abandoned("it", age=61), watch.is_abandoned("it", age=-1e9)))
    assert seen == [(False, False), (False, False), (True, False), (True, False), (True, True)]
