"""Findings about room name the numbers, the setting and the smallest change, which is enough."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from components.settings.quantities import size_bytes
from components.settings.room import Place, roomy_for, to_drop
from tests.unit.stack_config import EKS, problems

GIB = 2**30
places = some.builds(
    Place,
    setting=some.just("larder:cache.node-local.size"),
    size=some.integers(1, 5000).map(lambda count: f"{count}Gi"),
    usable=some.floats(0.5, 1.0),
    copies=some.floats(1, 20),
    beside=some.integers(0, 50 * GIB),
)
models = some.dictionaries(some.text("abc", min_size=1), some.integers(1, 500 * GIB), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("size", "held", "finding"),
    [
        ("20Gi", {"a": 18 * GIB}, None),
        (
            "20Gi",
            {"a": 19 * GIB, "b": 2 * GIB},
            "20Gi has room for 18.0 GiB of weights (a tenth of it stays free), but larder:models need 21.0 GiB. "
            "Fix: set size: 24Gi, or drop a "
            "(19.0 GiB) from larder:models.",
        ),
        (
            "20Gi",
            {"a": 17 * GIB, "b": 2 * GIB},
            "20Gi has room for 18.0 GiB of weights (a tenth of it stays free), but larder:models need 19.0 GiB. "
            "Fix: set size: 22Gi, or drop b "
            "(2.0 GiB) from larder:models.",
        ),
        (
            "20Gi",
            {"a": 19 * GIB},
            "20Gi has room for 18.0 GiB of weights (a tenth of it stays free), but larder:models need 19.0 GiB. "
            "Fix: set size: 22Gi.",
        ),
        (
            "20Gi",
            {"a": 12 * GIB, "b": 12 * GIB, "c": 12 * GIB},
            "20Gi has room for 18.0 GiB of weights (a tenth of it stays free), but larder:models need 36.0 GiB. "
            "Fix: set size: 40Gi, or drop c "
            "(12.0 GiB) and b (12.0 GiB) from larder:models.",
        ),
    ],
    ids=["fits", "the large one", "the small one", "none to drop", "several"],
)
def test_a_finding_names_the_smallest_changes(size: str, held: dict[str, int], finding: str | None) -> None:
    assert Place(setting="larder:cache.node-local.size", size=size).finding(held) == finding


@given(places, models)
def test_the_proposed_size_is_the_smallest_that_fits(place: Place, held: dict[str, int]) -> None:
    weights = sum(held.values())
    if place.finding(held) is None:
        return
    named = size_bytes(place.smallest(weights))

    def room(size: int) -> float:
        return (size * place.usable - place.beside) / place.copies

    assert math.isclose(room(named), weights, rel_tol=1e-9) or room(named) > weights
    assert room(named - GIB) < weights * (1 + 1e-9)


@given(models, some.integers(0, 4000 * GIB))
def test_the_other_models_fit_without_the_dropped_ones(held: dict[str, int], room: int) -> None:
    if sum(held.values()) <= room or not (dropped := to_drop(held, room)):
        return
    left = {model: count for model, count in held.items() if model not in dropped}
    assert left
    assert sum(left.values()) <= room
    for model in dropped:
        assert sum(left.values()) + held[model] > room, "one less would have done"


@given(some.integers(1, 10**15))
def test_a_proposed_volume_has_no_finding(weights: int) -> None:
    assert Place(setting="size", size=roomy_for(weights)).finding({"a": weights}) is None


ON_EKS: dict[str, Any] = {
    "larder:cluster": EKS,
    "larder:node-pools": {
        "cpu": {"hosts": None, "instance": "m6i.xlarge", "disk": "2Gi"},
        "spare": {"hosts": None, "instance": "m6i.xlarge"},
    },
    "larder:cache": {"strategy": "none", "node-local": None},
    "larder:models": ["beta"],
}


def test_a_disk_smaller_than_the_weights_is_refused_with_the_size_that_fits() -> None:
    # 2 pods x (1.1 x 3 GiB + 256 MiB) + 10 GiB of system and images, in 85 % of the disk
    assert problems(ON_EKS) == [
        "larder:node-pools.cpu.disk: 2Gi has room for 0 B of weights (2 pods of a machine each keep a copy while "
        "one follows another, beside the system), but larder:models need 3.0 GiB. Fix: set disk: 21Gi."
    ]


def test_the_proposed_size_is_accepted() -> None:
    pools = {**ON_EKS["larder:node-pools"], "cpu": {"hosts": None, "instance": "m6i.xlarge", "disk": "21Gi"}}
    assert problems({**ON_EKS, "larder:node-pools": pools}) == []
