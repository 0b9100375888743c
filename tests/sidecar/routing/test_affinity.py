"""Properties of the choice among replicas."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.routing.affinity import chosen


@dataclass(frozen=True)
class Standing:
    """A replica as a plain value."""

    address: str
    loaded: frozenset[str] = frozenset()
    full: bool = False
    busy: int = 0
    failing: bool = False


MODELS = [f"model-{number}" for number in range(200)]
NAMES = st.sampled_from(["a", "b"])
REPLICAS = st.lists(
    st.builds(
        Standing,
        address=st.integers(1, 254).map(lambda last: f"10.0.0.{last}:8080"),
        loaded=st.frozensets(NAMES),
        full=st.booleans(),
        busy=st.integers(0, 3),
        failing=st.booleans(),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda replica: replica.address,
)


@given(NAMES, REPLICAS)
def test_the_least_busy_replica_with_the_model_or_one_with_room_is_chosen(model: str, replicas: list[Standing]) -> None:
    replica = chosen(model, replicas)
    answering = [one for one in replicas if not one.failing] or replicas
    assert replica in answering
    if holding := [one for one in answering if model in one.loaded]:
        assert replica in holding
        assert replica.busy == min(one.busy for one in holding)
    elif roomy := [one for one in answering if not one.full]:
        assert replica in roomy


@given(NAMES, REPLICAS, st.randoms())
def test_every_front_chooses_the_same_in_whichever_order_it_sees_them(
    model: str, replicas: list[Standing], random: object
) -> None:
    shuffled = [*replicas]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert chosen(model, replicas) == chosen(model, shuffled)


@given(NAMES, REPLICAS, st.data())
def test_only_the_models_of_a_replica_that_goes_move(model: str, replicas: list[Standing], data: st.DataObject) -> None:
    cold = [replace(one, loaded=frozenset(), failing=False, full=False) for one in replicas]
    before = chosen(model, cold)
    gone = data.draw(st.sampled_from(cold))
    after = chosen(model, [one for one in cold if one is not gone])
    assert after == before or before == gone


def test_models_are_spread_over_all_of_them() -> None:
    replicas = [Standing(f"10.0.0.{last}:8080") for last in range(1, 5)]
    count = {one.address: 0 for one in replicas}
    for model in MODELS:
        replica = chosen(model, replicas)
        assert replica
        count[replica.address] += 1
    assert min(count.values()) > len(MODELS) / 8


def test_without_replicas_there_is_no_choice() -> None:
    assert chosen("a", []) is None
