"""Strategy kserve-cache: the caches that KServe keeps, and the pods that use them."""

from collections.abc import Callable
from typing import Any

import pytest

from components.settings import SettingsError
from tests.program.previews import Preview
from tests.program.test_manager import MANAGER

Previews = Callable[..., Preview]
STACK: dict[str, Any] = {
    "larder:node-pools": {
        "cpu": {"hosts": ["larder"]},
        "rocm": {
            "hosts": ["mars", "venus"],
            "accelerator": "amd.com/gpu",
            "labels": {"kserve/localmodel": "worker"},
        },
    },
    "larder:cache": {"node-local": None, "shared-storage": None, "image-volume": None},
    "larder:ollama": None,
    "larder:models": ["tiny-random", "tiny-second"],
    "larder:kserve": {"pool": "rocm", "active": "tiny-random", "models": ["tiny-random", "tiny-second"]},
}
HF = "hf://org/tiny:main"


@pytest.fixture
def seen(preview: Previews) -> Preview:
    return preview("kserve-cache", STACK)


def test_each_model_has_a_separate_cache(seen: Preview) -> None:
    caches = {r.inputs["metadata"]["name"]: r.inputs["spec"] for r in seen.all("LocalModelCache")}
    assert len(caches) == 2
    for name, spec in caches.items():
        assert name.startswith("larder-ai-tiny-")
        assert spec["nodeGroups"] == ["larder-ai"]
        assert spec["sourceModelUri"].startswith("https://huggingface.co/")
        assert int(spec["modelSize"]) > 0


def test_the_group_is_the_nodes_of_the_stack_s_pool(seen: Preview) -> None:
    spec = seen.one("LocalModelNodeGroup", "larder-ai").inputs["spec"]
    volume = spec["persistentVolumeSpec"]
    (term,) = volume["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": ["mars", "venus"]}
    ]
    assert (spec["storageLimit"], volume["capacity"]["storage"], volume["local"]) == (
        "20Gi",
        "20Gi",
        {"path": "/models"},
    )
    assert spec["persistentVolumeClaimSpec"]["resources"]["requests"]["storage"] == "20Gi"


def test_the_service_has_the_uri_of_the_cache(seen: Preview) -> None:
    """KServe would fetch any other URI into the pod at each start."""
    cached = {r.inputs["spec"]["sourceModelUri"] for r in seen.all("LocalModelCache")}
    uri = seen.one("InferenceService").inputs["spec"]["predictor"]["model"]["storageUri"]
    assert uri in cached
    assert "tiny-random" in uri


def test_the_service_waits_until_every_node_has_the_model(seen: Preview) -> None:
    caches = seen.all("LocalModelCache")
    assert {cache.urn for cache in caches} <= seen.one("InferenceService").dependencies
    for cache in caches:
        assert cache.inputs["metadata"]["annotations"]["pulumi.com/waitFor"] == "jsonpath={.status.copies.available}=2"
        assert int(cache.timeouts["create"].removesuffix("s")) >= 120


def test_another_source_makes_another_cache(preview: Previews, seen: Preview) -> None:
    other = preview(
        "kserve-cache",
        {**STACK, "larder:cache": {**STACK["larder:cache"], "kserve-cache": {"sources": {"tiny-random": HF}}}},
    )
    before, after = (
        {n for n in p.named() if n.startswith("LocalModelCache larder-ai-tiny-random")} for p in (seen, other)
    )
    assert before != after
    assert other.one("InferenceService").inputs["spec"]["predictor"]["model"]["storageUri"] == HF


def test_a_missing_definition_of_kserve_fails_the_preview(seen: Preview) -> None:
    assert "localmodelcaches.serving.kserve.io" in seen.recording.needs.values()


def test_caches_stay_with_their_block_under_every_strategy(preview: Previews, seen: Preview) -> None:
    local = {
        "node-local": {"node": "venus", "path": "/var/lib/larder", "size": "20Gi"},
        "kserve-cache": {"size": "20Gi"},
    }
    other = preview("node-local", {**STACK, "larder:cache": {**STACK["larder:cache"], **local}})
    kept = {r.urn: r.inputs for r in seen.all("LocalModelCache")}
    assert kept == {r.urn: r.inputs for r in other.all("LocalModelCache")}


def test_a_manager_gets_every_source(preview: Previews) -> None:
    block = {**MANAGER["larder:manager"], "inference": None, "api-token": {"secret": "mine"}}
    kserve = {"pool": "rocm", "models": ["tiny-random", "tiny-second"]}
    config = {**STACK, **MANAGER, "larder:manager": block, "larder:kserve": {**kserve, "active": None}}
    pools = {**STACK["larder:node-pools"], "home": {"hosts": [block["state"]["node"]]}}
    served = preview("kserve-cache", {**config, "larder:node-pools": pools}).inference()
    assert served.storage_uri is None
    assert set(served.sources) == {"tiny-random", "tiny-second"}
    assert served.uri("tiny-second") == served.sources["tiny-second"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"larder:node-pools": {"rocm": {"hosts": ["mars", "venus"], "accelerator": "amd.com/gpu"}}},
            "larder:node-pools.rocm.labels: lack kserve/localmodel: worker, ",
        ),
        (
            {"larder:ollama": {"pool": "cpu"}, "larder:models": ["tiny-random", "tiny-second", "tinyllama-1.1b-chat"]},
            "larder:ollama.pool: strategy 'kserve-cache' brings weights into KServe's pods only",
        ),
        (
            {"larder:cache": {**STACK["larder:cache"], "kserve-cache": {"size": "20Gi", "sources": {"tiny-random": "ftp://x"}}}},
            "larder:cache.kserve-cache.sources.tiny-random: 'ftp://x' is not allowed here.",
        ),
    ],
    ids=["no agent", "beside ollama", "no scheme of KServe"],
)  # fmt: skip
def test_invalid_settings_are_refused_at_preview(preview: Previews, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(SettingsError) as refused:
        preview("kserve-cache", {**STACK, **changes})
    assert [problem for problem in refused.value.lines if problem.startswith(line)]
