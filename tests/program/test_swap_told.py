"""The description of a swap in `make plan` agrees with the resources of the two plans."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.plan.plan import make_plan
from components.settings import parse
from preview.__main__ import main
from preview.changes import changes
from preview.document import PlanDocument, document
from preview.swap import swap
from tests.program.previews import CATALOG, Preview, config_of
from tests.program.test_kserve import BOTH
from tests.program.test_kserve_cache import STACK as CACHED

Previews = Callable[..., Preview]


def _document(preview: Previews, strategy: str, overlay: dict[str, Any] | None = None) -> PlanDocument:
    settings = parse(config_of("dev", strategy, overlay), stack="dev", catalog=CATALOG)
    return document("dev", settings, make_plan(settings), preview(strategy, overlay).recording, [])


@pytest.mark.parametrize(
    ("after", "fetched"),
    [
        ("none", "by every pod, at each of its starts"),
        ("image-volume", "by the runtime of each node, as an image, proved by Job preflight"),
        ("shared-storage", "by populate-shared-"),
        ("node-local", "by populate-"),
    ],
)
def test_it_describes_the_fetch_the_rollout_and_the_kept_volumes(preview: Previews, after: str, fetched: str) -> None:
    before = "node-local" if after == "none" else "none"
    which, fetches, pods, kept = swap(_document(preview, before), _document(preview, after))
    assert which == f"swap    {before} -> {after}"
    assert fetches.startswith(f"fetched {fetched}")
    assert pods == "pods    Deployment ollama: the next one is ready before the last one drains; no request waits"
    assert kept == "kept    larder-model-storage, shared-model-storage, with their contents"


def test_a_fetch_is_told_by_the_role_of_its_job_and_not_by_its_name(preview: Previews) -> None:
    before, after = _document(preview, "none"), _document(preview, "node-local")
    urns = {resource.urn for resource in after.resources if resource.name.startswith("populate-")}
    renamed = [
        resource.model_copy(update={"name": "filler"}) if resource.urn in urns else resource
        for resource in after.resources
    ]
    assert swap(before, after.model_copy(update={"resources": renamed}))[1].startswith("fetched by filler before")


def test_it_reports_a_build_of_the_image(preview: Previews) -> None:
    block = {"larder:cache": {"prebuilt-image": {"image": None, "build": {"to": "registry.example/prebuilt/ollama"}}}}
    there = _document(preview, "prebuilt-image", block)
    fetched = swap(_document(preview, "none"), there)[1]
    assert fetched.startswith("fetched by the builder, which pushes an image of them; then by the runtime of each node")
    assert swap(there, _document(preview, "none"))[1] == "fetched by every pod, at each of its starts"


def test_another_engine_below_a_built_image_replaces_its_pods(preview: Previews) -> None:
    """The digest is unknown before the build, but the plan still reports the rollout."""
    block = {"larder:cache": {"prebuilt-image": {"image": None, "build": {"to": "registry.example/prebuilt/ollama"}}}}
    newer = {**block, "larder:images": {"ollama": f"registry.example/ollama@sha256:{'b' * 64}"}}
    before, after = (_document(preview, "prebuilt-image", overlay).resources for overlay in (block, newer))
    assert [change.title for change in changes(before, after) if change.rolls] == ["Deployment ollama"]


def test_it_reports_who_holds_requests_if_pods_cannot_overlap(preview: Previews) -> None:
    """vLLM has the only GPU: the next pod starts after the last one has released it."""
    lines = swap(_document(preview, "node-local", BOTH), _document(preview, "image-volume", BOTH))
    (line,) = [line for line in lines if "InferenceService" in line]
    assert line == (
        "pods    InferenceService active-llm: the last one ends before the next one starts; "
        "the front holds requests for up to 30 s"
    )


def test_it_reports_a_fetch_by_kserve(preview: Previews) -> None:
    local = {
        "node-local": {"node": "venus", "path": "/var/lib/larder", "size": "20Gi"},
        "kserve-cache": {"size": "20Gi"},
    }
    both = {**CACHED, "larder:cache": {**CACHED["larder:cache"], **local}}
    there, back = _document(preview, "kserve-cache", both), _document(preview, "node-local", both)
    assert swap(back, there)[1] == "fetched by KServe's agent on each node; nothing where it has it already"
    assert swap(there, back)[1].startswith("fetched by populate-")
    assert "larder-ai-tiny-random-" in swap(there, back)[-1]


def test_it_names_a_volume_that_the_swap_drops(preview: Previews) -> None:
    dropped = {"larder:cache": {"node-local": None}}
    *_, kept, volume, claim = swap(_document(preview, "node-local"), _document(preview, "none", dropped))
    assert kept.endswith("no longer declared: larder-model-storage")
    for line, kind in ((claim, "PersistentVolumeClaim"), (volume, "PersistentVolume")):
        assert line == f"refused {kind} larder-model-storage: protected: pulumi refuses until it is unprotected"


def test_it_is_empty_if_the_strategy_stays(preview: Previews) -> None:
    same = _document(preview, "none")
    assert swap(same, same) == []


def test_plan_compares_with_the_deployed_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, overlay = tmp_path / "before.json", tmp_path / "overlay.yaml"
    overlay.write_text("larder:cache: {strategy: node-local}\n")
    assert main(["plan", "--json", str(before)]) == 0
    capsys.readouterr()
    assert main(["plan", "--overlay", str(overlay), "--before", str(before)]) == 0
    assert "\nSwap\n  swap    none -> node-local\n  fetched by populate-" in capsys.readouterr().out
    assert main(["plan", "--before", str(before)]) == 0
    assert "\nSwap\n  the strategy stays as it is\n" in capsys.readouterr().out


def test_an_invalid_plan_before_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "before.json").write_text("{}")
    assert main(["plan", "--before", str(tmp_path / "before.json")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path / 'before.json'}: is not a plan of this version: ")


def test_why_prints_the_matrix_and_writes_it_for_tools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "plan.json"
    assert main(["plan", "--stack", "venus", "--why", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "\nNeeds of the strategy\n  the folder on each node" in printed
    assert "\n  node-local      in force\n" in printed
    assert "\n  kserve-cache    refused\n" in printed
    verdicts = {v["strategy"]: v for v in json.loads(file.read_text())["support"]}
    assert verdicts["none"]["status"] == "refused"
    assert "choose node-local" in verdicts["none"]["reasons"][0]
    assert verdicts["image-volume"]["swap"][0].startswith("fetched by the runtime")


def test_the_sections_are_optional(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan"]) == 0
    printed = capsys.readouterr().out
    assert "\nStrategies\n" not in printed
    assert "\nSwap\n" not in printed


def test_a_secret_of_the_stack_is_no_reason_against_any_strategy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("larder:api-token: {secure: v1:abc:def}\n")
    assert main(["plan", "--why", "--overlay", str(overlay)]) == 0
    printed = capsys.readouterr().out
    assert "\n  none            in force\n" in printed
    assert "api-token: lies open" not in printed


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ({"schema": 1, "stack": "dev", "problems": ["larder:models: is missing."]}, "is a plan of refused settings"),
        ({"schema": 1, "stack": "venus", "users": {"strategy": "none"}}, "is a plan of stack venus"),
    ],
    ids=["refused", "another stack's"],
)
def test_a_plan_of_another_stack_or_of_refused_settings_is_one_line(
    before: dict[str, Any], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "before.json").write_text(json.dumps(before))
    assert main(["plan", "--before", str(tmp_path / "before.json")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path / 'before.json'}: {why}")


def test_a_claim_of_others_is_kept(preview: Previews) -> None:
    theirs = {"larder:cache": {"shared-storage": {"nfs": None, "claim": "team-models", "size": "20Gi"}}}
    told = swap(_document(preview, "shared-storage", theirs), _document(preview, "none", theirs))
    assert told[-1] == "kept    larder-model-storage, team-models, with their contents"
