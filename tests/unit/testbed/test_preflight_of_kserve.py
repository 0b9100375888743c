"""A stack with larder:kserve for a cluster without KServe is refused before anything is built or deployed."""

import pytest

from testbed import up
from testbed.progress import TestbedError


def test_a_cluster_without_kserve_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "_kubectl", lambda *_: "")
    with pytest.raises(
        TestbedError, match=r"context team has no KServe \(inferenceservices\.serving\.kserve\.io\): ins"
    ):
        up.require_kserve("team")


def test_a_cluster_with_kserve_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "_kubectl", lambda *_: "customresourcedefinition.apiextensions.k8s.io/inferenceservices\n")
    up.require_kserve("team")
