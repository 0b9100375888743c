"""Requests of a plan, and warnings."""

from typing import Any

import pytest

from components.plan.admission import admission, warnings
from components.plan.plan import make_plan
from components.settings.weights_plan import weights_plan
from tests.unit.stack_config import CATALOG, DIGEST, settings

IMAGES = {"strategy": "image-volume", "image-volume": {"images": {"alpha": f"registry/alpha@{DIGEST}"}}}
SHARED = {"strategy": "shared-storage", "shared-storage": {"storage-class": "efs", "size": "4Gi"}}

RULE = {"max-characters": 100, "model": "alpha"}
SHADOWED = {"larder:gateway": {"routing": {"rules": [RULE, {**RULE, "pattern": "a"}]}}}


OF_LINES = {"larder:gateway": {"routing": {"rules": [{"pattern": "write.*code", "model": "alpha"}]}}}


def _lines(changes: dict[str, Any] | None = None) -> dict[str, str]:
    found = settings(changes)
    return dict(admission(found, make_plan(found)))


def _size(changes: dict[str, Any]) -> tuple[str, str]:
    ollama = make_plan(settings(changes)).engines["ollama"]
    assert ollama
    return ollama.size.memory, ollama.size.cpu


def _warnings(changes: dict[str, Any]) -> list[str]:
    found = settings(changes)
    return [line.partition(": ")[0] for line in warnings(found, make_plan(found))]


def test_memory_is_the_sum_of_the_models_and_the_engine() -> None:
    # 2 x 256Mi + 192Mi; the processor is shared
    assert _size({"larder:models": ["alpha", "gamma"]}) == ("704Mi", "500m")


def test_settings_override_the_computed_resources() -> None:
    assert _size({"larder:ollama": {"memory": "8Gi", "cpu": "3"}}) == ("8Gi", "3")


def test_the_disk_line_names_the_place_of_the_weights() -> None:
    assert _lines()["disk"] == "1.0 MiB of weights on node venus, 0% of its 2Gi"
    assert _lines({"larder:cache": {"strategy": "none"}})["disk"] == (
        "1.0 MiB of weights in each pod, fetched at every start"
    )
    assert _lines({"larder:cache": IMAGES})["disk"] == "1.0 MiB of weights in 1 image(s), pulled once by each node"
    assert _lines({"larder:cache": SHARED})["disk"] == (
        "1.0 MiB of weights on shared storage, 0% of its 4Gi, and a copy in each pod"
    )


def test_the_memory_line_counts_both_pods_of_a_rollout() -> None:
    assert _lines()["memory"] == "448.0 MiB for the engine; 896.0 MiB on its node while one pod follows another"


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({}, []),
        ({"larder:models": ["gamma"]}, ["larder:models"]),
        ({"larder:ollama": {"memory": "100Mi"}}, ["larder:ollama.memory"]),
        (SHADOWED, ["larder:gateway.routing.rules[1]"]),
        (OF_LINES, ["larder:gateway.routing.rules[0].pattern"]),
        ({"larder:hub": {"endpoint": "http://hub"}}, ["larder:hub.endpoint"]),
        (
            {"larder:models": ["beta"], "larder:cache": {"node-local": {"size": "3Gi"}}},
            ["larder:cache.node-local.size"],
        ),
        ({"larder:cache": IMAGES}, []),
        ({"larder:cache": IMAGES, "larder:cluster": {"kubernetes": "1.34"}}, ["larder:cluster.kubernetes"]),
        (
            {"larder:cache": IMAGES, "larder:cluster": {"kind": "on-prem", "context": "c"}},
            ["larder:cluster.kubernetes"],
        ),
    ],
    ids=[
        "none",
        "first pull",
        "too little memory",
        "shadowed",
        "a dot that stops at a line",
        "plain http",
        "nearly full",
        "images",
        "gate",
        "unknown version",
    ],
)
def test_warnings(changes: dict[str, Any], paths: list[str]) -> None:
    assert _warnings(changes) == paths


def test_the_digest_of_a_plan_does_not_depend_on_the_hub() -> None:
    one, other = (weights_plan([CATALOG["alpha"]], hub) for hub in ("https://a", "https://b/mirror"))
    assert one.digest() == other.digest()
    assert other.models[0].files[0].url == f"https://b/mirror/org/alpha/resolve/{'0' * 40}/alpha.gguf"


def test_models_are_served_with_the_context_of_the_catalog() -> None:
    assert weights_plan([CATALOG["alpha"]], "https://a").models[0].ollama.params["num_ctx"] == 2048
