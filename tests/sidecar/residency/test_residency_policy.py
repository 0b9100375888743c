"""The promises of the residency policy, for any state of any models."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from larder_sidecar.residency.policy import NEVER, Decision, ModelState, Phase, Rules, decide

NOW = 1000.0
MOMENTS = st.floats(min_value=NOW - 100, max_value=NOW)
SECONDS = st.sampled_from([0.0, 0.5, 5.0, 60.0])
RULES = st.builds(
    Rules,
    max_models=st.integers(1, 4),
    eviction=st.sampled_from(["lru", "immediate"]),
    min_residency=st.one_of(st.none(), SECONDS),
    max_wait=SECONDS,
    memory=st.one_of(st.none(), st.integers(1, 20)),
)


@st.composite
def states(draw: st.DrawFn) -> list[ModelState]:
    models = []
    for index in range(draw(st.integers(0, 6))):
        phase = draw(st.sampled_from(Phase))
        models.append(
            ModelState(
                name=f"m{index}",
                phase=phase,
                busy=draw(st.integers(0, 2)) if phase is Phase.LOADED else 0,
                wanted_since=draw(st.one_of(st.just(NEVER), st.floats(min_value=NOW - 100, max_value=NOW + 100))),
                last_used=draw(MOMENTS),
                loaded_at=draw(MOMENTS),
                load_seconds=draw(SECONDS),
                keep_alive=draw(st.sampled_from([0.0, 10.0, 50.0, NEVER])),
                pinned=draw(st.booleans()),
                unload_requested=draw(st.booleans()),
                size=draw(st.integers(0, 10)),
            )
        )
    return models


@st.composite
def crowds(draw: st.DrawFn, least: int = 0, *, full: bool = False) -> tuple[Rules, list[ModelState]]:
    """States with waiting requests and evictable models: most of them cause a load or an unload.

    `full`: each loaded model has its place, none is left, and one is evicted at a time.
    """
    rest = [
        ModelState(
            name=f"m{index}",
            phase=Phase.LOADED,
            last_used=draw(MOMENTS),
            loaded_at=draw(st.floats(min_value=NOW - 100, max_value=NOW - 70)),
            load_seconds=draw(st.sampled_from([0.0, 5.0])),
            keep_alive=NEVER,
            pinned=draw(st.integers(0, 4)) == 4,
            size=draw(st.integers(0, 10)),
        )
        for index in range(draw(st.integers(least, 4)))
    ]
    waiting = [
        ModelState(name=f"w{index}", phase=Phase.COLD, wanted_since=draw(MOMENTS), size=draw(st.integers(0, 10)))
        for index in range(draw(st.integers(1, 3)))
    ]
    rules = replace(draw(RULES), max_models=max(1, len(rest) + (0 if full else draw(st.integers(-1, 2)))))
    if full:
        rules = replace(rules, eviction="lru", memory=None)
    return rules, draw(st.permutations([*rest, *waiting]))


ANY = st.one_of(crowds(), st.tuples(RULES, states()), crowds())


def at(decision: Decision, models: list[ModelState]) -> dict[str, ModelState]:
    return {model.name: model for model in models if model.name in decision.unload}


@given(ANY)
def test_no_busy_model_is_unloaded_and_no_pinned_one_without_a_request_to(
    state: tuple[Rules, list[ModelState]],
) -> None:
    rules, models = state
    unloaded = at(decide(rules, models, NOW), models)
    assume(unloaded)
    for model in unloaded.values():
        assert model.idle
        assert model.unload_requested or not model.pinned


@given(ANY)
def test_a_load_starts_only_if_there_is_room(state: tuple[Rules, list[ModelState]]) -> None:
    rules, models = state
    decision = decide(rules, models, NOW)
    assume(decision.load)
    here = [model for model in models if model.phase is not Phase.COLD]
    assert len(here) < rules.max_models
    assert all(model.phase is not Phase.LOADING for model in here)
    (loaded,) = (model for model in models if model.name == decision.load)
    assert loaded.phase is Phase.COLD
    assert (
        rules.memory is None
        or all(m.pinned for m in here)
        or (sum(model.size for model in here) + loaded.size <= rules.memory)
    )


@given(ANY)
def test_the_model_that_was_wanted_first_is_loaded_first(state: tuple[Rules, list[ModelState]]) -> None:
    rules, models = state
    decision = decide(rules, models, NOW)
    waiting = {
        model.name: model.wanted_since for model in models if model.phase is Phase.COLD and model.wanted_since <= NOW
    }
    assume(decision.load)
    assert waiting[decision.load or ""] == min(waiting.values())


@given(crowds(least=2) | crowds(least=2, full=True) | crowds(least=3, full=True))
def test_the_evicted_model_is_the_least_recently_used(state: tuple[Rules, list[ModelState]]) -> None:
    rules, models = state
    decision = decide(rules, models, NOW)
    gone = [model for model in models if decision.unload.get(model.name) == "room"]
    stayed = [m for m in models if m.idle and not m.pinned and m.name not in decision.unload]
    assume(gone and stayed)
    # A model that was just loaded keeps its place for a while, and the next in order is not evicted instead.
    for model in gone:
        for other in stayed:
            given = other.load_seconds if rules.min_residency is None else rules.min_residency
            assert model.last_used <= other.last_used or other.loaded_at + given > NOW


@given(RULES, states())
def test_the_next_decision_is_in_the_future(rules: Rules, models: list[ModelState]) -> None:
    assert decide(rules, models, NOW).wake > NOW


@given(RULES, states())
def test_no_request_waits_without_an_event_to_come(rules: Rules, models: list[ModelState]) -> None:
    """The event is a load, an unload, a phase that ends, a draining model or the next decision."""
    pins = sum(model.pinned and model.phase is Phase.LOADED for model in models)
    models, rules = [*models, cold("w", wanted_since=NOW)], replace(rules, max_models=rules.max_models + pins)
    decision = decide(rules, models, NOW)
    under_way = any(model.phase in (Phase.LOADING, Phase.UNLOADING) for model in models)
    draining = any(model.busy and model.name in decision.closed for model in models)
    assert decision.load or decision.unload or under_way or draining or decision.wake < NEVER


@given(RULES, states())
def test_a_model_that_nothing_displaces_stays_for_its_keep_alive(rules: Rules, models: list[ModelState]) -> None:
    quiet = [replace(m, wanted_since=NEVER, unload_requested=False) for m in models]
    assume(any(m.phase is Phase.LOADED for m in quiet))
    decision = decide(replace(rules, memory=None, max_models=len(quiet) + 1), quiet, NOW)
    for name, model in ((m.name, m) for m in quiet if m.phase is Phase.LOADED):
        expired = model.idle and not model.pinned and model.last_used + model.keep_alive <= NOW
        assert (name in decision.unload) == expired


def loaded(name: str, **more: Any) -> ModelState:
    state = ModelState(name=name, phase=Phase.LOADED, last_used=NOW - 50, loaded_at=NOW - 50, keep_alive=1800.0)
    return replace(state, **more)


def cold(name: str, **more: Any) -> ModelState:
    return replace(ModelState(name=name, phase=Phase.COLD), **more)


ONE = Rules(max_models=1, eviction="lru", min_residency=5, max_wait=10)
TWO = replace(ONE, max_models=2)
ROOMY = Rules(max_models=3, eviction="immediate", min_residency=0, max_wait=10)

CASES: dict[str, tuple[Rules, list[ModelState], Decision]] = {
    "an empty engine loads": (ONE, [cold("a", wanted_since=NOW)], Decision(load="a")),
    "one load at a time": (
        TWO,
        [replace(cold("a"), phase=Phase.LOADING), cold("b", wanted_since=NOW)],
        Decision(),
    ),
    "the least recently used model is evicted": (
        TWO,
        [loaded("a", last_used=NOW - 20), loaded("b", last_used=NOW - 30), cold("c", wanted_since=NOW)],
        Decision(unload={"b": "room"}, wake=NOW - 20 + 1800),
    ),
    "an idle model is evicted before a busy one that was used earlier": (
        TWO,
        [loaded("a", busy=1, last_used=NOW - 30), loaded("b", last_used=NOW - 1), cold("c", wanted_since=NOW)],
        Decision(unload={"b": "room"}),
    ),
    "a pinned model stays": (
        TWO,
        [loaded("a", pinned=True), loaded("b", last_used=NOW), cold("c", wanted_since=NOW)],
        Decision(unload={"b": "room"}),
    ),
    "a model that was just loaded keeps its place": (
        ONE,
        [loaded("a", loaded_at=NOW - 2), cold("b", wanted_since=NOW - 1)],
        Decision(wake=NOW + 3),
    ),
    "by default for as long as its load took": (
        replace(ONE, min_residency=None),
        [loaded("a", loaded_at=NOW - 2, load_seconds=6.0), cold("b", wanted_since=NOW - 1)],
        Decision(wake=NOW + 4),
    ),
    "but not longer than max_wait": (
        ONE,
        [loaded("a", loaded_at=NOW - 2), cold("b", wanted_since=NOW - 9)],
        Decision(wake=NOW + 1),
    ),
    "a busy model takes new requests until max_wait": (
        ONE,
        [loaded("a", busy=2), cold("b", wanted_since=NOW - 4)],
        Decision(wake=NOW + 6),
    ),
    "and is closed after it": (
        ONE,
        [loaded("a", busy=2), cold("b", wanted_since=NOW - 10)],
        Decision(closed=frozenset({"a"})),
    ),
    "expired": (ONE, [loaded("a", keep_alive=50.0)], Decision(unload={"a": "expired"})),
    "a pinned model does not expire": (ONE, [loaded("a", keep_alive=0.0, pinned=True)], Decision()),
    "an unload on request waits for running requests": (
        ONE,
        [loaded("a", busy=1, unload_requested=True)],
        Decision(closed=frozenset({"a"})),
    ),
    "immediate: idle models are evicted although there is room": (
        ROOMY,
        [loaded("a"), loaded("b", busy=1), cold("c", wanted_since=NOW)],
        Decision(unload={"a": "room"}, load="c"),
    ),
    "memory: as many are evicted as make room": (
        replace(TWO, max_models=9, memory=10),
        [
            loaded("a", size=4, last_used=NOW - 9),
            loaded("b", size=4, last_used=NOW - 8),
            cold("c", wanted_since=NOW, size=6),
        ],
        Decision(unload={"a": "room"}, wake=NOW - 8 + 1800),
    ),
    "memory: a model larger than the limit is loaded alone": (
        replace(TWO, memory=10),
        [loaded("a", pinned=True, size=4), cold("b", wanted_since=NOW, size=60)],
        Decision(load="b"),
    ),
    "a failed load is retried later": (ONE, [cold("a", wanted_since=NOW + 2)], Decision(wake=NOW + 2)),
    "models above the limit are evicted without a waiting request": (
        ONE,
        [loaded("a", last_used=NOW - 9), loaded("b", last_used=NOW - 8)],
        Decision(unload={"a": "room"}, wake=NOW - 8 + 1800),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_decision(case: str) -> None:
    rules, models, expected = CASES[case]
    assert decide(rules, models, NOW) == expected
