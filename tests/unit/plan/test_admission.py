"""What a plan asks for, and what is worth a second look."""

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


def test_memory_is_what_all_models_need_together_and_the_engine_itself() -> None:
    # 2 x 256Mi + 192Mi; the processor is shared
    assert _size({"larder:models": ["alpha", "gamma"]}) == ("704Mi", "500m")


def test_the_settings_may_say_otherwise() -> None:
    assert _size({"larder:ollama": {"memory": "8Gi", "cpu": "3"}}) == ("8Gi", "3")


def test_disk_is_where_the_strategy_puts_it() -> None:
    assert _lines()["disk"] == "1.0 MiB of weights on node venus, 0% of its 2Gi"
    assert _lines({"larder:cache": {"strategy": "none"}})["disk"] == (
        "1.0 MiB of weights in each pod, fetched at every start"
    )
    assert _lines({"larder:cache": IMAGES})["disk"] == "1.0 MiB of weights in 1 image(s), pulled once by each node"
    assert _lines({"larder:cache": SHARED})["disk"] == (
        "1.0 MiB of weights on shared storage, 0% of its 4Gi, and a copy in each pod"
    )


def test_while_pods_overlap_a_node_holds_both() -> None:
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


def test_where_bytes_come_from_does_not_name_a_plan() -> None:
    one, other = (weights_plan([CATALOG["alpha"]], hub) for hub in ("https://a", "https://b/mirror"))
    assert one.digest() == other.digest()
    assert other.models[0].files[0].url == f"https://b/mirror/org/alpha/resolve/{'0' * 40}/alpha.gguf"


def test_the_context_that_memory_was_counted_at_is_the_one_served() -> None:
    assert weights_plan([CATALOG["alpha"]], "https://a").models[0].ollama.params["num_ctx"] == 2048
