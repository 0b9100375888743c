"""The comparison of settings finds a file that one side refuses, and an error that has moved."""

from pathlib import Path

from tests.rails import corpus, verdicts
from tests.rails.conftest import change
from tests.rails.trees import Tree, here

FEW = 60


def test_generated_files_are_the_same_for_the_same_seed_and_differ_for_another() -> None:
    first, again, other = (list(corpus.generated(FEW, seed)) for seed in ("0", "0", "1"))
    assert first == again
    assert first != other
    assert len(first) == FEW


def test_the_corpus_has_files_of_both_kinds_and_many_errors(tmp_path: Path) -> None:
    found = verdicts.record(here(), verdicts.write(tmp_path, corpus.generated(3 * FEW, "0")))
    accepted = [verdict for verdict in found.values() if verdict["status"] == 0]
    assert FEW / 2 < len(accepted) < 2.5 * FEW
    assert all(not verdict["paths"] for verdict in accepted)
    assert len({path for verdict in found.values() for path in verdict["paths"]}) > FEW / 2


def test_the_files_of_the_unit_tests_are_kept() -> None:
    found = corpus.written("tests/unit/settings/test_prune_settings.py")
    assert len(found) > 5
    assert all("larder:cluster" in config for config in found)
    assert any("prune" in config["larder:cache"].get("node-local", {}) for config in found)


def test_a_rule_that_the_code_changes_is_reported(changed: Tree, tmp_path: Path) -> None:
    change(changed, '"kube-"', '"kub-"')
    change(changed, "_one_line(problem.path)", '_one_line(problem.path.replace("models[0]", "models"))')
    base = next(corpus.generated(1, "0"))
    files = [base, {**base, "larder:cluster": {"kind": "embedded", "namespace": "kube-system"}}, {**base, "x": 1}]
    folders = verdicts.write(tmp_path / "files", [*files, {**base, "larder:models": ["x"]}])
    before, after = verdicts.record(here(), folders), verdicts.record(changed, folders)
    found = [str(difference).removeprefix(f"{tmp_path}/files/") for difference in verdicts.compare(before, after)]
    assert found == [
        "00001/Pulumi.dev.yaml.status: 1 -> 0",
        '00001/Pulumi.dev.yaml.paths[0]: "larder:cluster.namespace" -> (absent)',
        '00003/Pulumi.dev.yaml.paths[0]: "larder:models[0]" -> "larder:models"',
    ]
