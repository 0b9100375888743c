"""larder:cache.kserve-cache is checked under every strategy, since KServe acts on it at once."""

from typing import Any

import pytest
from larder_sidecar.catalog import CatalogEntry

from components.settings import SettingsError, parse
from components.settings.base import Catalog
from components.settings.kserve_cache import KServeCacheSettings
from components.settings.sources import merged
from tests.unit.stack_config import DIGEST, GOOD, entry, settings

TOKEN = f"hf_{'a' * 34}"
KSERVE: dict[str, Any] = {
    "larder:node-pools": {"rocm": {"hosts": ["saturn"], "accelerator": "amd.com/gpu"}},
    "larder:images": {"vllm": f"registry/vllm@{DIGEST}"},
    "larder:cache": {"node-local": {"node": None, "pool": "rocm"}},
    "larder:ollama": None,
    "larder:kserve": {"pool": "rocm", "active": "alpha"},
}


def _of_two_files(model: str) -> CatalogEntry:
    one = entry(model)
    assert one.hub
    files = [*one.hub.files, one.hub.files[0].model_copy(update={"path": "second.gguf"})]
    return one.model_copy(update={"hub": one.hub.model_copy(update={"files": files})})


def _refused(changes: dict[str, Any], catalog: dict[str, CatalogEntry] | None = None) -> list[str]:
    raw = {key: value for key, value in merged(GOOD, changes).items() if value is not None}
    with pytest.raises(SettingsError) as refused:
        parse(raw, stack="dev", catalog=Catalog(catalog or {"alpha": entry("alpha")}))
    return list(refused.value.lines)


@pytest.mark.parametrize("strategy", ["none", "node-local"])
def test_a_model_of_several_files_needs_a_source_under_every_strategy(strategy: str) -> None:
    block = {"larder:cache": {"strategy": strategy, "kserve-cache": {"size": "20Gi"}}}
    (line,) = _refused(block, {"alpha": _of_two_files("alpha")})
    assert line.startswith(
        "larder:cache.kserve-cache.sources: KServe fetches one URL for each model, but alpha has several"
    )


def test_a_cache_too_small_for_the_weights_is_refused_under_every_strategy() -> None:
    (line,) = _refused({"larder:cache": {"kserve-cache": {"size": "1Ki"}}})
    assert line.startswith(
        "larder:cache.kserve-cache.size: 1Ki has room for 921 B of weights (a tenth of it stays free)"
    )


def test_nodes_without_the_agent_are_refused_under_every_strategy() -> None:
    """`up` waits for the caches under every strategy, and would wait until its deadline."""
    (line,) = _refused(merged(KSERVE, {"larder:cache": {"kserve-cache": {"size": "20Gi"}}}))
    assert line.startswith("larder:node-pools.rocm.labels: lack kserve/localmodel: worker")


def test_the_default_folder_of_the_agent_is_allowed() -> None:
    found = settings({"larder:cache": {"kserve-cache": {"size": "20Gi", "path": "/models"}}})
    block = found.cache.of(KServeCacheSettings)
    assert block
    assert block.path == "/models"


@pytest.mark.parametrize("uri", [f"https://h/x?token={TOKEN}", f"https://h/x#{TOKEN}", f"https://u:{TOKEN}@h/x"])
def test_a_source_with_a_secret_is_refused_and_the_error_hides_it(uri: str) -> None:
    (line,) = _refused({"larder:cache": {"kserve-cache": {"size": "20Gi", "sources": {"alpha": uri}}}})
    assert line.startswith("larder:cache.kserve-cache.sources.alpha: ")
    assert TOKEN not in line
