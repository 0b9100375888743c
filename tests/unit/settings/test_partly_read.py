"""A block with a wrong setting is still compared with the others, by the settings that could be read."""

from typing import Any

import pytest

from tests.unit.stack_config import AKS, DIGEST, EKS, GOOD, problems, problems_of

NONE = {"strategy": "none"}

BOTH: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"larder:ollama": {"pool": "gpu", "replicas": "two", "models": ["omega"]}},
        ["larder:ollama.replicas", "larder:ollama.pool", "larder:ollama.models"],
    ),
    (
        {"larder:cache": {"node-local": {"node": "earth", "size": "lots"}}},
        ["larder:cache.node-local.size", "larder:cache.node-local.node"],
    ),
    (
        {"larder:gateway": {"node-port": 1, "routing": {"default": "omega"}, "residency": {"pin": ["omega"]}}},
        ["larder:gateway.node-port", "larder:gateway.routing.default", "larder:gateway.residency.pin[0]"],
    ),
    (
        {"larder:node-pools": {"cpu": {"spot": True, "labels": {"a": "?"}}, "none": 7, "spare": {"instance": "m5"}}},
        [
            "larder:node-pools.cpu.labels.a",
            "larder:node-pools.none",
            "larder:node-pools.cpu.spot",
            "larder:node-pools.spare.instance",
        ],
    ),
    (
        {"larder:manager": {"catalog": {"repo": "https://git/x", "period": "?"}, "state": {"node": "earth"}}},
        [
            "larder:manager.catalog.period",
            "larder:manager.state.path",
            "larder:manager.state.size",
            "larder:manager.inference",
            "larder:manager.catalog",
            "larder:manager.api-token",
            "larder:manager.state.node",
        ],
    ),
]


@pytest.mark.parametrize(("changes", "paths"), BOTH, ids=[paths[0] for _, paths in BOTH])
def test_a_wrong_shape_hides_no_other_problem_of_its_block(changes: dict[str, Any], paths: list[str]) -> None:
    assert [line.partition(": ")[0] for line in problems(changes)] == paths


@pytest.mark.parametrize("cluster", [{"kind": "eks", "regoin": "x"}, "eks", {"kind": ["eks"]}])
def test_a_cluster_that_cannot_be_read_hides_the_rules_of_its_kind(cluster: object) -> None:
    found = problems_of({**GOOD, "larder:cluster": cluster})
    assert {line.partition(": ")[0].partition(".")[0] for line in found} == {"larder:cluster"}


def test_a_key_that_is_no_valid_text_is_reported_at_its_place() -> None:
    found = problems({"larder:node-pools": {"\uda7b": 0}})
    assert all(line.startswith("larder:node-pools.") for line in found)
    assert found


def test_a_wrong_block_is_not_compared_by_the_blocks_below_it() -> None:
    changes = {
        "larder:cluster": EKS,
        "larder:node-pools": {"cpu": {"instance": "m5"}},
        "larder:ollama": {"pool": "gpu"},
    }
    assert all(line.startswith("larder:node-pools.") for line in problems(changes))


@pytest.mark.parametrize("key", ["Big_Pool", 1, True])
def test_a_wrong_name_of_a_pool_is_one_problem(key: object) -> None:
    found = problems_of(
        {
            **GOOD,
            "larder:cluster": AKS,
            "larder:node-pools": {key: {"instance": "Standard_D4s_v5"}},
            "larder:cache": NONE,
        }
    )
    assert len([line for line in found if line.startswith("larder:node-pools")]) == 1


def test_a_block_has_at_most_fifty_problems_and_their_number() -> None:
    found = problems({"larder:models": [f"m{number}" for number in range(300)]})
    assert len(found) == 51
    assert found[-1] == "larder:models: and 250 more problems."


def test_a_setting_has_one_problem() -> None:
    found = problems({"larder:node-pools": {"cpu": {"min": "x"}}, "larder:ollama": {"pool": 7}})
    assert [line.partition(": ")[0] for line in found] == ["larder:node-pools.cpu.min", "larder:ollama.pool"]


def test_an_empty_default_is_no_model() -> None:
    assert [line.partition(": ")[0] for line in problems({"larder:gateway": {"routing": {"default": ""}}})] == [
        "larder:gateway.routing.default"
    ]


def test_a_pin_without_an_engine_that_loads_on_demand_is_to_be_removed() -> None:
    images = {"shimmy": f"registry/shimmy@{DIGEST}"}
    shimmy = {"pool": "cpu", "engine": "shimmy"}
    changes = {"larder:ollama": None, "larder:images": images, "larder:shimmy": shimmy}
    (line,) = problems(changes | {"larder:gateway": {"residency": {"pin": ["alpha"]}}})
    assert line.endswith("Fix: remove the key.")
