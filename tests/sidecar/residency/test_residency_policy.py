"""What the decision promises, for any state of any models."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from larder_sidecar.residency.policy import NEVER, Decision, Phase, Rules, Seen, decide

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
def states(draw: st.DrawFn) -> list[Seen]:
    models = []
    for index in range(draw(st.integers(0, 6))):
        phase = draw(st.sampled_from(Phase))
        models.append(
            Seen(
                name=f"m{index}",
                phase=phase,
                busy=draw(st.integers(0, 2)) if phase is Phase.LOADED else 0,
                asked=draw(st.one_of(st.just(NEVER), st.floats(min_value=NOW - 100, max_value=NOW + 100))),
                used=draw(MOMENTS),
                loaded=draw(MOMENTS),
                took=draw(SECONDS),
                keep_alive=draw(st.sampled_from([0.0, 10.0, 50.0, NEVER])),
                pinned=draw(st.booleans()),
                leaving=draw(st.booleans()),
                size=draw(st.integers(0, 10)),
            )
        )
    return models


@st.composite
def crowds(draw: st.DrawFn, least: int = 0) -> tuple[Rules, list[Seen]]:
    """States in which somebody waits, and those who are loaded have time: most of them move something."""
    rest = [
        Seen(
            name=f"m{index}",
            phase=Phase.LOADED,
            used=draw(MOMENTS),
            loaded=draw(st.floats(min_value=NOW - 100, max_value=NOW - 70)),
            took=draw(st.sampled_from([0.0, 5.0])),
            keep_alive=NEVER,
            pinned=draw(st.integers(0, 4)) == 4,
            size=draw(st.integers(0, 10)),
        )
        for index in range(draw(st.integers(least, 4)))
    ]
    waiting = [
        Seen(name=f"w{index}", phase=Phase.COLD, asked=draw(MOMENTS), size=draw(st.integers(0, 10)))
        for index in range(draw(st.integers(1, 3)))
    ]
    rules = replace(draw(RULES), max_models=max(1, len(rest) + draw(st.integers(-1, 2))))
    return rules, draw(st.permutations([*rest, *waiting]))


SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Not `filter_too_much`: where hardly any state has what a test is about, it says so."""
ANY = st.one_of(crowds(), st.tuples(RULES, states()), crowds())


def at(decision: Decision, models: list[Seen]) -> dict[str, Seen]:
    return {model.name: model for model in models if model.name in decision.unload}


@SLOWLY
@given(ANY)
def test_nobody_who_is_busy_is_unloaded_and_nobody_pinned_unless_he_was_told_to_go(
    state: tuple[Rules, list[Seen]],
) -> None:
    rules, models = state
    unloaded = at(decide(rules, models, NOW), models)
    assume(unloaded)
    for model in unloaded.values():
        assert model.idle
        assert model.leaving or not model.pinned


@SLOWLY
@given(ANY)
def test_a_load_finds_its_place_free(state: tuple[Rules, list[Seen]]) -> None:
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


@SLOWLY
@given(ANY)
def test_who_waits_longest_is_loaded_first(state: tuple[Rules, list[Seen]]) -> None:
    rules, models = state
    decision = decide(rules, models, NOW)
    waiting = {model.name: model.asked for model in models if model.phase is Phase.COLD and model.asked <= NOW}
    assume(decision.load)
    assert waiting[decision.load or ""] == min(waiting.values())


@SLOWLY
@given(crowds(least=2))
def test_who_gives_way_was_used_least_recently(state: tuple[Rules, list[Seen]]) -> None:
    rules, models = state
    decision = decide(rules, models, NOW)
    gone = [model for model in models if decision.unload.get(model.name) == "room"]
    stayed = [m for m in models if m.idle and not m.pinned and m.name not in decision.unload]
    assume(gone and stayed)
    # Who was loaded just now is given its time: the next in order waits with it rather than going in its place.
    for model in gone:
        for other in stayed:
            given = other.took if rules.min_residency is None else rules.min_residency
            assert model.used <= other.used or other.loaded + given > NOW


@given(RULES, states())
def test_the_next_look_is_in_the_future(rules: Rules, models: list[Seen]) -> None:
    assert decide(rules, models, NOW).wake > NOW


@given(RULES, states())
def test_nobody_waits_without_something_on_its_way(rules: Rules, models: list[Seen]) -> None:
    """A load, an unload, a phase that will end, a model that is draining, or a moment to look again."""
    pins = sum(model.pinned and model.phase is Phase.LOADED for model in models)
    models, rules = [*models, cold("w", asked=NOW)], replace(rules, max_models=rules.max_models + pins)
    decision = decide(rules, models, NOW)
    under_way = any(model.phase in (Phase.LOADING, Phase.UNLOADING) for model in models)
    draining = any(model.busy and model.name in decision.closed for model in models)
    assert decision.load or decision.unload or under_way or draining or decision.wake < NEVER


@SLOWLY
@given(RULES, states())
def test_a_model_stays_while_its_keep_alive_lasts_and_nobody_wants_its_place(rules: Rules, models: list[Seen]) -> None:
    quiet = [replace(m, asked=NEVER, leaving=False) for m in models]
    assume(any(m.phase is Phase.LOADED for m in quiet))
    decision = decide(replace(rules, memory=None, max_models=len(quiet) + 1), quiet, NOW)
    for name, model in ((m.name, m) for m in quiet if m.phase is Phase.LOADED):
        expired = model.idle and not model.pinned and model.used + model.keep_alive <= NOW
        assert (name in decision.unload) == expired


def loaded(name: str, **more: object) -> Seen:
    return replace(Seen(name=name, phase=Phase.LOADED, used=NOW - 50, loaded=NOW - 50, keep_alive=1800.0), **more)  # type: ignore[arg-type]


def cold(name: str, **more: object) -> Seen:
    return replace(Seen(name=name, phase=Phase.COLD), **more)  # type: ignore[arg-type]


ONE = Rules(max_models=1, eviction="lru", min_residency=5, max_wait=10)
TWO = replace(ONE, max_models=2)
ROOMY = Rules(max_models=3, eviction="immediate", min_residency=0, max_wait=10)

CASES: dict[str, tuple[Rules, list[Seen], Decision]] = {
    "an empty engine loads": (ONE, [cold("a", asked=NOW)], Decision(load="a")),
    "one load at a time": (
        TWO,
        [replace(cold("a"), phase=Phase.LOADING), cold("b", asked=NOW)],
        Decision(),
    ),
    "the least recently used one goes": (
        TWO,
        [loaded("a", used=NOW - 20), loaded("b", used=NOW - 30), cold("c", asked=NOW)],
        Decision(unload={"b": "room"}, wake=NOW - 20 + 1800),
    ),
    "a busy one stays, an idle one used later goes": (
        TWO,
        [loaded("a", busy=1, used=NOW - 30), loaded("b", used=NOW - 1), cold("c", asked=NOW)],
        Decision(unload={"b": "room"}),
    ),
    "a pin stays": (
        TWO,
        [loaded("a", pinned=True), loaded("b", used=NOW), cold("c", asked=NOW)],
        Decision(unload={"b": "room"}),
    ),
    "whoever was just loaded is given its time": (
        ONE,
        [loaded("a", loaded=NOW - 2), cold("b", asked=NOW - 1)],
        Decision(wake=NOW + 3),
    ),
    "by default as long as its load took": (
        replace(ONE, min_residency=None),
        [loaded("a", loaded=NOW - 2, took=6.0), cold("b", asked=NOW - 1)],
        Decision(wake=NOW + 4),
    ),
    "but no more than the patience of who waits": (
        ONE,
        [loaded("a", loaded=NOW - 2), cold("b", asked=NOW - 9)],
        Decision(wake=NOW + 1),
    ),
    "a busy one goes on taking requests for a while": (
        ONE,
        [loaded("a", busy=2), cold("b", asked=NOW - 4)],
        Decision(wake=NOW + 6),
    ),
    "and then takes no more": (
        ONE,
        [loaded("a", busy=2), cold("b", asked=NOW - 10)],
        Decision(closed=frozenset({"a"})),
    ),
    "expired": (ONE, [loaded("a", keep_alive=50.0)], Decision(unload={"a": "expired"})),
    "a pin does not expire": (ONE, [loaded("a", keep_alive=0.0, pinned=True)], Decision()),
    "whoever is told to go drains first": (
        ONE,
        [loaded("a", busy=1, leaving=True)],
        Decision(closed=frozenset({"a"})),
    ),
    "immediate: the idle ones go though there is room": (
        ROOMY,
        [loaded("a"), loaded("b", busy=1), cold("c", asked=NOW)],
        Decision(unload={"a": "room"}, load="c"),
    ),
    "memory: as many go as make room": (
        replace(TWO, max_models=9, memory=10),
        [loaded("a", size=4, used=NOW - 9), loaded("b", size=4, used=NOW - 8), cold("c", asked=NOW, size=6)],
        Decision(unload={"a": "room"}, wake=NOW - 8 + 1800),
    ),
    "memory: larger than all of it is tried alone": (
        replace(TWO, memory=10),
        [loaded("a", pinned=True, size=4), cold("b", asked=NOW, size=60)],
        Decision(load="b"),
    ),
    "a load that is tried again later": (ONE, [cold("a", asked=NOW + 2)], Decision(wake=NOW + 2)),
    "more than there may be: the rest goes without anybody waiting": (
        ONE,
        [loaded("a", used=NOW - 9), loaded("b", used=NOW - 8)],
        Decision(unload={"a": "room"}, wake=NOW - 8 + 1800),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_decided(case: str) -> None:
    rules, models, expected = CASES[case]
    assert decide(rules, models, NOW) == expected
