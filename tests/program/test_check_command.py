"""The check of `make up` before it builds anything: is the stack file valid for this cluster and these models?"""

from pathlib import Path

import pytest

from components import ROOT
from preview.__main__ import main

STACK = (ROOT / "Pulumi.dev.yaml").read_text()


def test_a_valid_file_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--node", "larder", "--model", "tiny-random"]) == 0
    assert capsys.readouterr() == ("", "")


def test_an_unknown_host_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--node", "venus"]) == 1
    assert capsys.readouterr().err == (
        "larder:node-pools.cpu.hosts[0]: the cluster has no node 'larder'. Fix: name one of venus.\n"
    )


def test_models_of_the_file_are_checked_if_others_are_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(STACK.replace("tinyllama-1.1b-chat", "tinylama"))
    assert main(["check", "--folder", str(tmp_path), "--model", "tiny-random"]) == 1
    assert capsys.readouterr().err.startswith("larder:models[0]: unknown model 'tinylama'. Did you mean")


def test_a_cluster_that_is_too_old_for_the_strategy_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = STACK.replace("strategy: none", "strategy: image-volume")
    (tmp_path / "Pulumi.dev.yaml").write_text(swapped)
    assert main(["check", "--folder", str(tmp_path), "--kubernetes", "1.33"]) == 0
    assert main(["check", "--folder", str(tmp_path), "--kubernetes", "1.32"]) == 1
    assert "requires Kubernetes 1.33 or newer, but larder:cluster.kubernetes is 1.32." in capsys.readouterr().err
