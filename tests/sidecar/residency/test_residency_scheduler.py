"""The scheduler on a simulated clock: every request is answered, and the engine never holds too many models."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.config.residency import Residency
from larder_sidecar.engines import EngineError, Loaded, Resident
from larder_sidecar.residency.policy import Phase
from larder_sidecar.residency.scheduler import Scheduler
from larder_sidecar.residency.slot import ModelSlot, RefusedError

from tests.examples import up_to

MODELS = ("a", "b", "c", "d")
LOAD, UNLOAD, LONGEST = 2.0, 1.0, 5.0
"""Seconds of a load, of an unload, and of the longest answer."""


class Leaping(asyncio.SelectorEventLoop):
    """A loop whose clock leaps to the next thing to do: hours pass in milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready:  # type: ignore[attr-defined]
            assert self._scheduled, "everybody waits for somebody else"  # type: ignore[attr-defined]
            self._now = max(self._now, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


class TimedEngine(Resident):
    """Holds models, takes its time, and fails when the test says so."""

    kind = "timed"
    health_path = "/"

    def __init__(self, failing: list[bool]) -> None:
        self.holding: set[str] = set()
        self.most = 0
        self._failing = iter(failing)
        self.busy: dict[str, int] = dict.fromkeys(MODELS, 0)

    async def load(self, name: str, keep_alive: float | None, seconds: float) -> None:
        if name in self.holding:
            return
        self.holding.add(name)
        self.most = max(self.most, len(self.holding))
        await asyncio.sleep(LOAD)
        if next(self._failing, False):
            self.holding.discard(name)
            message = "no"
            raise EngineError(message)

    async def unload(self, name: str, seconds: float) -> None:
        assert not self.busy[name], "an answer was cut"
        await asyncio.sleep(UNLOAD)
        assert not self.busy[name], "a request was sent to a model that goes"
        self.holding.discard(name)

    async def loaded(self) -> dict[str, Loaded]:
        return {name: Loaded() for name in self.holding}


@dataclass(eq=False)
class Request:
    """A client's request, from its coming to its end."""

    scheduler: Scheduler
    engine: TimedEngine
    model: str
    lasts: float
    since: float = 0.0
    end: str = ""
    waited: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def come(self) -> None:
        self.since = self.scheduler.now()
        if (slot := self.scheduler.enter(self.model)) is not None:
            self.admitted(slot)
            return
        try:
            self.slot = self.scheduler.wait(self.model, self.model, self)
        except RefusedError as reason:
            self.refused(reason)

    def admitted(self, slot: ModelSlot) -> None:
        assert slot.phase is Phase.LOADED
        self.waited = self.scheduler.now() - self.since
        self.engine.busy[self.model] += 1
        asyncio.get_running_loop().call_later(self.lasts, self._answered, slot)

    def _answered(self, slot: ModelSlot) -> None:
        self.engine.busy[self.model] -= 1
        self.scheduler.leave(slot)
        self._ended("answered")

    def refused(self, refusal: RefusedError) -> None:
        self._ended(refusal.code)

    def _ended(self, how: str) -> None:
        assert not self.end
        self.end = how
        self.over.set()


async def played(
    rules: Residency, arrivals: list[tuple[float, str, float]], failing: list[bool]
) -> tuple[list[Request], TimedEngine, Scheduler]:
    engine = TimedEngine(failing)
    scheduler = Scheduler(rules, engine, [(model, model) for model in MODELS], lambda *_, **__: None)
    requests = []
    loop = asyncio.get_running_loop()
    for moment, model, lasts in arrivals:
        request = Request(scheduler, engine, model, lasts)
        requests.append(request)
        loop.call_at(moment, request.come)
    for request in requests:
        await request.over.wait()
    scheduler.stop()
    await asyncio.sleep(0.01)
    return requests, engine, scheduler


def play(
    rules: Residency, arrivals: list[tuple[float, str, float]], failing: list[bool]
) -> tuple[list[Request], TimedEngine, Scheduler]:
    loop = Leaping()
    try:
        return loop.run_until_complete(played(rules, arrivals, failing))
    finally:
        loop.close()


RULES = st.builds(
    Residency,
    strategy=st.just("ram"),
    max_models=st.integers(1, 3),
    eviction=st.sampled_from(["lru", "immediate"]),
    keep_alive=st.sampled_from([0.0, 3.0, 60.0]),
    min_residency=st.sampled_from([None, 0.0, 4.0]),
    max_wait=st.sampled_from([0.0, 4.0]),
)
ARRIVALS = st.lists(
    st.tuples(st.floats(0, 60), st.sampled_from(MODELS), st.floats(0.01, LONGEST)), min_size=1, max_size=60
)


@up_to(30)
@given(RULES, ARRIVALS)
def test_everybody_is_answered_in_time_and_never_too_many_are_loaded(
    rules: Residency, arrivals: list[tuple[float, str, float]]
) -> None:
    requests, engine, _ = play(rules, sorted(arrivals), [])
    assert {request.end for request in requests} == {"answered"}
    assert engine.most <= rules.max_models
    # A turn of each of the four: its load, its unload, the longest answer, and the patience of the next.
    bound = len(MODELS) * (LOAD + UNLOAD + LONGEST + rules.max_wait + (rules.min_residency or LOAD))
    assert max(request.waited for request in requests) <= bound


@up_to(20)
@given(RULES, ARRIVALS, st.lists(st.booleans(), max_size=20))
def test_a_load_that_fails_is_told_to_those_who_wait_and_to_nobody_else(
    rules: Residency, arrivals: list[tuple[float, str, float]], failing: list[bool]
) -> None:
    requests, engine, scheduler = play(rules, sorted(arrivals), failing)
    assert {request.end for request in requests} <= {"answered", "model_load_failed"}
    failed = sum(scheduler.figures.failures.values())
    assert bool(failed) == any(request.end == "model_load_failed" for request in requests)
    assert engine.most <= rules.max_models


@up_to(20)
@given(RULES, ARRIVALS)
def test_those_who_wait_for_one_model_go_in_as_they_came(
    rules: Residency, arrivals: list[tuple[float, str, float]]
) -> None:
    requests, _, _ = play(rules, sorted(arrivals), [])
    for model in MODELS:
        moments = [round(request.since + request.waited, 6) for request in requests if request.model == model]
        assert moments == sorted(moments)


def test_mixed_traffic_costs_a_load_for_each_turn_and_not_for_each_request() -> None:
    rules = Residency(strategy="ssd", min_residency=10, max_wait=10)
    arrivals = [(second / 2, MODELS[second % 2], 0.4) for second in range(240)]
    requests, _, scheduler = play(rules, arrivals, [])
    loads = sum(one.count for one in scheduler.figures.loads.values())
    assert {request.end for request in requests} == {"answered"}
    assert loads <= 2 + 120 / 10


def test_the_queue_counts_all_models_together() -> None:
    rules = Residency(strategy="ssd", queue=3)
    requests, _, _ = play(rules, [(moment / 10, model, 1.0) for moment, model in enumerate("aabbc")], [])
    assert [request.end for request in requests] == ["answered"] * 3 + ["queue_full"] * 2
