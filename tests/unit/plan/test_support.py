"""The support matrix: verdicts on every strategy, from the settings."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from components.plan.support import Verdict, support, try_strategy
from components.settings import Problem, Settings, SettingsError, parse
from components.settings.base import Catalog
from components.settings.sources import merged
from components.settings.strategies import STRATEGIES
from tests.unit.stack_config import CATALOG, DIGEST, GOOD

KSERVE = {
    "larder:node-pools": {
        "cpu": {"hosts": ["mars"]},
        "rocm": {"hosts": ["venus"], "accelerator": "amd.com/gpu"},
    },
    "larder:images": {"vllm": f"registry/vllm@{DIGEST}"},
    "larder:ollama": None,
    "larder:kserve": {"pool": "rocm", "active": "alpha"},
}
LABELLED = merged(KSERVE, {"larder:node-pools": {"rocm": {"labels": {"kserve/localmodel": "worker"}}}})
OLD = {"larder:cluster": {"kubernetes": "1.32"}}


def _matrix(changes: dict[str, Any]) -> dict[str, Verdict]:
    raw = {key: value for key, value in merged(GOOD, changes).items() if value is not None}
    found = parse(raw, stack="dev", catalog=Catalog(CATALOG))
    verdicts = support(raw, found, partial(parse, stack="dev", catalog=Catalog(CATALOG)))
    return {f"{verdict.strategy} {verdict.stack}": verdict for verdict in verdicts}


@pytest.mark.parametrize(
    ("changes", "statuses"),
    [
        ({}, {"none": "works", "image-volume": "works", "node-local": "in force", "kserve-cache": "refused"}),
        (OLD, {"none": "works", "image-volume": "refused", "node-local": "in force", "kserve-cache": "refused"}),
        (KSERVE, {"none": "refused", "shared-storage": "refused", "kserve-cache": "refused"}),
        (LABELLED, {"none": "refused", "node-local": "in force", "kserve-cache": "works"}),
    ],
    ids=["ollama", "an old cluster", "kserve", "kserve with its agent"],
)
def test_each_strategy_has_the_status_that_the_settings_give_it(
    changes: dict[str, Any], statuses: dict[str, str]
) -> None:
    stack = "kserve" if "larder:kserve" in changes else "ollama"
    found = _matrix(changes)
    assert {strategy: found[f"{strategy} {stack}"].status for strategy in statuses} == statuses


@pytest.mark.parametrize("changes", [{}, OLD, KSERVE, LABELLED], ids=["ollama", "old", "kserve", "labelled"])
def test_a_verdict_agrees_with_the_settings(changes: dict[str, Any]) -> None:
    """The settings refuse a strategy with exactly these lines, and accept any other one."""
    raw = {key: value for key, value in merged(GOOD, changes).items() if value is not None}
    found = parse(raw, stack="dev", catalog=Catalog(CATALOG))
    for verdict in _matrix(changes).values():
        attempt = try_strategy(raw, found, verdict.strategy)
        if verdict.status == "refused":
            with pytest.raises(SettingsError) as refused:
                parse(attempt, stack="dev", catalog=Catalog(CATALOG))
            assert verdict.reasons == list(refused.value.lines)
        else:
            assert parse(attempt, stack="dev", catalog=Catalog(CATALOG)).cache.strategy == verdict.strategy


def test_every_strategy_has_a_line() -> None:
    assert [name.split()[0] for name in _matrix({})] == list(STRATEGIES)


def test_a_verdict_omits_problems_of_other_stacks() -> None:
    both = {
        "larder:node-pools": {"rocm": {"hosts": ["venus"], "accelerator": "amd.com/gpu"}},
        "larder:images": {"vllm": f"registry/vllm@{DIGEST}"},
        "larder:models": ["alpha", "gamma"],
        "larder:kserve": {"pool": "rocm", "active": "gamma"},
    }
    verdict = _matrix(both)["none kserve"]
    assert [line.partition(": ")[0] for line in verdict.reasons] == ["larder:kserve.pool"]


def test_a_problem_of_another_stack_as_a_whole_is_omitted_too() -> None:
    raw = {key: value for key, value in merged(GOOD, KSERVE | {"larder:ollama": {"pool": "rocm"}}).items() if value}
    raw["larder:models"] = ["alpha", "gamma"]
    raw["larder:images"] |= GOOD["larder:images"]
    found = parse(raw, stack="dev", catalog=Catalog(CATALOG))
    problems = [
        Problem("larder:ollama", "other stacks name all of larder:models."),
        Problem("larder:kserve.pool", "has no GPU."),
    ]

    def refuse(config: Mapping[str, Any]) -> Settings:
        raise SettingsError(problems)

    verdicts = {verdict.stack: verdict.reasons for verdict in support(raw, found, refuse)}
    assert verdicts == {"ollama": [str(problems[0])], "kserve": [str(problems[1])]}


def test_a_change_is_at_most_two_lines_with_a_valid_block() -> None:
    found = _matrix({"larder:models": ["beta"], "larder:cache": {"node-local": {"size": "4Gi"}}})
    assert found["none ollama"].change == ["pulumi config set --path larder:cache.strategy none"]
    assert found["shared-storage ollama"].change == [
        "write shared-storage: {storage-class: a-class-for-many-nodes, size: 4Gi} under larder:cache",
        "pulumi config set --path larder:cache.strategy shared-storage",
    ]
    assert found["node-local ollama"].change == []


def test_a_finding_about_weights_is_a_warning() -> None:
    verdict = _matrix({"larder:cluster": {"kubernetes": "1.34"}})["image-volume ollama"]
    assert (verdict.status, [line.partition(": ")[0] for line in verdict.reasons]) == (
        "warns",
        ["larder:cluster.kubernetes"],
    )
