"""larder:cache.<volume>.prune: invalid plans are refused before the deployment."""

from typing import Any

import pytest

from components.settings.weights_plan import weights_plan
from tests.unit.stack_config import CATALOG, problems, settings

OWN = weights_plan([CATALOG["alpha"]], "https://a.hub").digest()
CLASS, CLAIM = {"storage-class": "efs"}, {"claim": "team-models"}
NFS = {"nfs": {"server": "nas", "path": "/export"}}


def local(prune: object) -> dict[str, Any]:
    return {"larder:cache": {"node-local": {"prune": prune}}}


def shared(source: dict[str, Any], prune: object) -> dict[str, Any]:
    return {"larder:cache": {"strategy": "shared-storage", "shared-storage": {**source, "size": "2Gi", "prune": prune}}}


GOOD: dict[str, dict[str, Any]] = {
    "a plan": local({"forget": ["1f0c9a77b2d4"]}),
    "by its whole digest": local({"forget": ["f" * 64], "dry-run": True}),
    "all others of a disk": local({"forget": ["others"]}),
    "all others of a volume that is ours": shared(CLASS, {"forget": ["others"]}),
    "a plan of a share": shared(NFS, {"forget": ["1f0c9a77b2d4"]}),
}


@pytest.mark.parametrize("changes", GOOD.values(), ids=GOOD.keys())
def test_valid_plans_to_prune_are_accepted(changes: dict[str, Any]) -> None:
    assert settings(changes).cache.prune


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nothing to forget": (local({"forget": []}), "node-local.prune.forget: must not be empty"),
    "no list": (local({}), "node-local.prune.forget: is missing"),
    "no digest": (local({"forget": ["tinyllama"]}), "node-local.prune.forget[0]: 'tinyllama' is not allowed here"),
    "too little of a digest": (local({"forget": ["1f0c9a7"]}), "prune.forget[0]: '1f0c9a7' is not allowed here"),
    "a number, where nobody wrote quotes": (local({"forget": [123456789012]}), "prune.forget[0]: must be a"),
    "the plan in force": (local({"forget": [OWN[:12]]}), f"prune.forget: {OWN[:12]} is the plan of larder:models"),
    "the plan in force, on a share": (shared(CLASS, {"forget": [OWN]}), "is the plan of larder:models"),
    "all others of a claim of others": (shared(CLAIM, {"forget": ["others"]}), "may include plans of other stacks"),
    "all others of an export": (
        shared(NFS, {"forget": ["1f0c9a77b2d4", "others"]}),
        "may include plans of other stacks",
    ),
    "a strategy without a volume": (
        {"larder:cache": {"image-volume": {"prune": {"forget": ["others"]}}}},
        "image-volume.prune: unknown key",
    ),
}


@pytest.mark.parametrize(("changes", "says"), BAD.values(), ids=BAD.keys())
def test_invalid_plans_to_prune_are_refused_with_the_path(changes: dict[str, Any], says: str) -> None:
    assert [line for line in problems(changes) if says in line], problems(changes)


def test_prune_has_no_effect_under_another_strategy() -> None:
    assert (
        settings({"larder:cache": {**local({"forget": ["others"]})["larder:cache"], "strategy": "none"}}).cache.prune
        is None
    )
