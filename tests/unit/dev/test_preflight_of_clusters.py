"""An existing cluster that cannot hold the stack is refused before anything is built or deployed."""

from typing import Any

import pytest

from dev import existing
from dev.progress import CommandError


def test_a_cluster_without_kserve_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existing, "_kubectl", lambda *_: "")
    with pytest.raises(
        CommandError, match=r"context team: no KServe \(inferenceservices\.serving\.kserve\.io\)\. Fix: ins"
    ):
        existing.require_kserve("team")


def test_a_cluster_with_kserve_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = "customresourcedefinition.apiextensions.k8s.io/inferenceservices\n"
    monkeypatch.setattr(existing, "_kubectl", lambda *_: found)
    existing.require_kserve("team")


def node(kubelet: str = "v1.36.3", **offers: str) -> dict[str, Any]:
    return {"status": {"nodeInfo": {"kubeletVersion": kubelet}, "allocatable": {"cpu": "4", **offers}}}


def test_a_cluster_without_gpus_is_told_so_and_one_node_that_has_them_is_enough() -> None:
    with pytest.raises(
        CommandError, match=r"context team: no node offers amd\.com/gpu\. Fix: install AMD's device plugin"
    ):
        existing.require_gpus("team", [node(), node(**{"amd.com/gpu": "0"})])
    existing.require_gpus("team", [node(), node(**{"amd.com/gpu": "8"})])


@pytest.mark.parametrize(
    ("kubelets", "version"),
    [(["v1.36.3"], "1.36"), (["v1.36.3", "v1.9.11-gke.4", "v1.33.1+k3s1"], "1.9"), (["v1.33.1-eks-1234"], "1.33")],
)
def test_a_cluster_is_as_old_as_its_oldest_kubelet(kubelets: list[str], version: str) -> None:
    assert existing.oldest([node(kubelet) for kubelet in kubelets]) == version
