"""A stack with larder:kserve for a cluster without KServe is refused before anything is built or deployed."""

from pathlib import Path

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


@pytest.mark.parametrize(
    ("line", "wanted"), [("  larder:kserve: {pool: rocm}", True), ("  # larder:kserve: {}", False)]
)
def test_kserve_is_there_for_stacks_that_have_a_block_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, wanted: bool
) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(f"config:\n{line}\n")
    monkeypatch.setattr(up, "STACKS", tmp_path)
    assert up.wants_kserve() is wanted
