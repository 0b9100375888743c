"""Warnings of a plan about room for weights, replicas and storage classes."""

from typing import Any

import pytest
from larder_sidecar.catalog import CatalogEntry

from components.plan.admission import about_weights, warnings
from components.plan.needs import list_needs
from components.plan.plan import make_plan
from components.settings import parse
from components.settings.base import Catalog
from components.settings.cache import Cache
from components.settings.disks import disks
from components.settings.kserve import KServeSettings
from components.settings.node_pools import NodePoolSettings
from components.settings.sources import merged
from components.settings.strategies import STRATEGIES
from tests.unit.settings.test_room import ON_EKS
from tests.unit.stack_config import CATALOG, DIGEST, GOOD, entry, settings

IMAGES = {"strategy": "image-volume", "image-volume": {"images": {"beta": f"registry/beta@{DIGEST}"}}}
SHARED = {"strategy": "shared-storage", "shared-storage": {"storage-class": "gp2", "size": "4Gi"}}
DIRECT = {"strategy": "shared-storage", "shared-storage": {"storage-class": "efs", "size": "4Gi", "read": "direct"}}


def _said(changes: dict[str, Any]) -> list[str]:
    found = settings(changes)
    return list(about_weights(found, make_plan(found)))


def _on_eks(disk: str, **changes: Any) -> dict[str, Any]:
    pools = {**ON_EKS["larder:node-pools"], "cpu": {"hosts": None, "instance": "m6i.xlarge", "disk": disk}}
    return {**ON_EKS, "larder:node-pools": pools, **changes}


def _disks(changes: dict[str, Any]) -> list[str]:
    return [line for line in _said(changes) if line.startswith("larder:node-pools.")]


@pytest.mark.parametrize(
    ("disk", "changes", "smallest"),
    [
        ("21Gi", {}, None),
        ("20Gi", {}, "21Gi"),
        ("20Gi", {"larder:cache": {**ON_EKS["larder:cache"], **IMAGES}}, None),
        ("18Gi", {"larder:cache": {**ON_EKS["larder:cache"], **IMAGES}}, "19Gi"),
        ("20Gi", {"larder:cache": {**ON_EKS["larder:cache"], **SHARED}}, "21Gi"),
        ("4Gi", {"larder:cache": {**ON_EKS["larder:cache"], **DIRECT}}, None),
        ("21Gi", {"larder:ollama": {"replicas": 3}}, "29Gi"),
    ],
    ids=["two pods", "a bit less", "images", "images, less", "copies of a share", "no copies", "replicas on a machine"],
)
def test_a_disk_has_room_for_the_files_of_the_strategy(
    disk: str, changes: dict[str, Any], smallest: str | None
) -> None:
    lines = _disks(_on_eks(disk, **changes))
    assert [line.split("set disk: ")[1] for line in lines] == ([f"{smallest}."] if smallest else [])


def test_kserve_keeps_one_copy_on_a_machine_s_disk() -> None:
    cache = Cache.model_validate({"strategy": "kserve-cache", "kserve-cache": {"size": "4Gi"}})
    pools = {"rocm": NodePoolSettings.model_validate({"instance": "Standard_ND96isr_MI300X_v5", "disk": "20Gi"})}
    (disk,) = disks(cache, pools, {"kserve": KServeSettings.model_validate({"pool": "rocm", "active": "alpha"})})
    assert disk.setting == "larder:node-pools.rocm.disk"
    assert disk.room == 7 * 2**30  # 85 % of 20 GiB, less 10


def test_a_declared_volume_is_checked_under_every_strategy() -> None:
    (line,) = _said({"larder:models": ["beta"], "larder:cache": {"strategy": "none"}})
    assert line == (
        "larder:cache.node-local.size: 2Gi has room for 1.8 GiB of weights (a tenth of it stays free), but "
        "larder:models need 3.0 GiB. Fix: "
        "set size: 4Gi."
    )


@pytest.mark.parametrize(
    ("replicas", "cache", "told"),
    [
        (1, {}, []),
        (2, {}, ["larder:ollama.replicas"]),
        (2, {"node-local": {"node": None, "pool": "cpu"}}, []),
        (3, {"node-local": {"node": None, "pool": "cpu"}}, ["larder:ollama.replicas"]),
        (3, {"strategy": "none"}, []),
    ],
    ids=["one", "two on one disk", "one a disk", "more than disks", "everywhere"],
)
def test_replicas_that_cannot_spread_cause_a_warning(replicas: int, cache: dict[str, Any], told: list[str]) -> None:
    lines = _said({"larder:ollama": {"replicas": replicas}, "larder:cache": cache})
    assert [line.partition(": ")[0] for line in lines] == told


def test_a_class_for_one_node_causes_a_warning_with_a_better_class() -> None:
    (line,) = _said(_on_eks("100Gi", **{"larder:cache": {**ON_EKS["larder:cache"], **SHARED}}))
    assert line.startswith("larder:cache.shared-storage.storage-class: gp2 gives disks that one node mounts at a time")
    assert "EFS" in line
    assert "gp3" in line


def test_every_strategy_has_needs() -> None:
    assert all(strategy.NEEDS for strategy in STRATEGIES.values())


def test_needs_have_the_figures_of_the_stack() -> None:
    told = [need.what for need in list_needs(settings({"larder:cache": {"strategy": "none"}}))]
    assert told == [
        "every pod reaches https://huggingface.co",
        "257.1 MiB free on the node's disk for each pod",
    ]


def test_needs_name_the_sources_of_the_models() -> None:
    file = {"path": "far.gguf", "bytes": 2**20, "sha256": "b" * 64}
    https = {"files": [{"url": "https://files.example/far.gguf", **file}]}
    far = entry("far").model_dump(exclude={"hub"}, exclude_none=True) | {"https": https}
    catalog = Catalog(CATALOG | {"far": CatalogEntry.model_validate(far)})
    raw = merged(GOOD, {"larder:models": ["alpha", "far"]})
    told = [need.what for need in list_needs(parse(raw, stack="dev", catalog=catalog))]
    assert "the Job reaches https://files.example and https://huggingface.co" in told


def test_every_plan_has_the_warnings_about_weights() -> None:
    """The matrix and the plan share a source: both warn about a class for one node."""
    found = settings(_on_eks("100Gi", **{"larder:cache": {**ON_EKS["larder:cache"], **SHARED}}))
    plan = make_plan(found)
    assert any("gp2" in line for line in warnings(found, plan))
    assert set(about_weights(found, plan)) <= set(warnings(found, plan))
