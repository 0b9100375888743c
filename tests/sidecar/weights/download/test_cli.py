"""The command says what it did in its last line, and why it failed where Kubernetes looks for it."""

import json
import re
from pathlib import Path

import pytest
from larder_sidecar.cli import main
from larder_sidecar.config.weights import EXIT_PERMANENT, WeightsPlan
from larder_sidecar.weights import errors, inputs
from larder_sidecar.weights.download import options
from larder_sidecar.weights.errors import (
    BusyError,
    FetchError,
    LeaseError,
    PlanError,
    StallError,
    StoreError,
    TransientError,
    WaitError,
)
from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.store.marker import wait_for
from pydantic import ValidationError

from testbed.hub.faults import Faults
from tests.sidecar.weights.kitchen import Kitchen


def test_the_last_line_is_a_summary(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    for fetched in (it.bytes, 0):
        ran = kitchen.started(plan)
        assert ran.returncode == 0
        lines = [json.loads(line) for line in ran.stdout.splitlines()]
        assert lines[-1]["event"] == "done"
        assert lines[-1]["fetched_bytes"] == fetched
        assert lines[-1]["reused_bytes"] == it.bytes - fetched
        assert lines[-1]["seconds"] >= 0


def test_the_reason_of_a_failure_is_one_line_in_the_termination_log(kitchen: Kitchen) -> None:
    kitchen.publish()
    log = kitchen.folder / "termination-log"
    plan = kitchen.plan(kitchen.hub(Faults(refuse=(404, "EntryNotFound"))))
    process = kitchen.process(plan, "--termination-log", str(log))
    out, told = process.communicate(timeout=20)
    assert process.returncode == EXIT_PERMANENT
    assert "Traceback" not in told
    assert log.read_text().count("\n") == 0
    assert "has no file tiny.gguf (404: " in log.read_text()
    assert '"done"' not in out


WORTH_ANOTHER_TRY = {TransientError, BusyError, StallError, LeaseError, WaitError, StoreError}
"""Networks come back, other writers end, and an error of a disk may be a server's that starts again."""


@pytest.mark.parametrize("error", [kind for kind in vars(errors).values() if isinstance(kind, type)])
def test_what_no_other_try_would_mend_has_a_status_of_its_own(error: type[FetchError]) -> None:
    assert error.permanent is (error not in WORTH_ANOTHER_TRY | {FetchError})


def test_the_termination_log_of_a_success_says_what_was_done(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    log = kitchen.folder / "termination-log"
    process = kitchen.process(kitchen.plan(kitchen.hub()), "--termination-log", str(log))
    process.communicate(timeout=20)
    assert log.read_text().startswith(f"the store holds the plan: {it.bytes} bytes fetched, 0 reused")


def test_every_problem_of_a_plan_is_named_by_its_place(tmp_path: Path) -> None:
    config = tmp_path / "weights.json"
    config.write_text(
        '{"schema": 1, "models": [{"id": "a", "served-names": ["a:cloud"], "format": "gguf", "files": []}]}'
    )
    with pytest.raises(PlanError, match=r"served-names\.0: .*source of models.*; models\.0\.files: "):
        inputs.read_plan(config)


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity"])
def test_a_parameter_that_no_json_can_hold_is_refused(kitchen: Kitchen, number: str) -> None:
    kitchen.publish()
    text = kitchen.plan("http://hub.test").to_json().replace('"num_predict": 16', f'"num_predict": {number}')
    with pytest.raises(ValidationError, match="finite"):
        WeightsPlan.from_json(text)


@pytest.mark.parametrize("option", ["--wait", "--stall-seconds", "--lease-seconds", "--patience"])
@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "soon"])
def test_a_wait_without_an_end_is_refused(capsys: pytest.CaptureFixture[str], option: str, seconds: str) -> None:
    with pytest.raises(SystemExit):
        main(["fetch", f"{option}={seconds}"])
    assert f"argument {option}: " in capsys.readouterr().err


@pytest.mark.parametrize("content", ["two\nlines", "two words", "umläut", "\x07"])
def test_what_is_no_token_is_refused_and_not_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (tmp_path / "token").write_text(content)
    monkeypatch.setenv("HF_TOKEN", content)
    for path in (tmp_path / "token", None):
        with pytest.raises(PlanError) as caught:
            inputs.read_token(path)
        assert content not in str(caught.value)


def test_a_token_comes_from_the_file_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert inputs.read_token(None) is None
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    assert inputs.read_token(None) == "hf_environment"
    (tmp_path / "token").write_text("hf_file\n")
    assert inputs.read_token(tmp_path / "token") == "hf_file"
    (tmp_path / "token").write_text("")
    with pytest.raises(PlanError, match="is not a token"):
        inputs.read_token(tmp_path / "token")


def test_the_example_in_the_help_is_a_plan() -> None:
    example = re.search(r"\{.*\}\]\}", options.EPILOG.partition('("sha256": "first-pull"')[0], re.DOTALL)
    assert example
    assert WeightsPlan.from_json(example[0]).models[0].id == "tinyllama-1.1b-chat"


def test_wait_ends_when_somebody_else_filled_the_store(kitchen: Kitchen) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    waiter = kitchen.process(plan, "--wait", "20")
    assert waiter.stdout
    assert json.loads(waiter.stdout.readline())["event"] == "waiting"
    kitchen.fetch(plan)
    out, _ = waiter.communicate(timeout=20)
    assert waiter.returncode == 0
    assert json.loads(out.splitlines()[-1])["fetched_bytes"] == 0


def test_wait_says_what_is_missing_and_writes_nothing(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    with pytest.raises(WaitError, match="no done marker yet"):
        wait_for(plan, kitchen.root, 0, Reporter(kitchen.log))
    assert not kitchen.root.exists()
    kitchen.fetch(plan)
    (kitchen.root / f"blobs/sha256-{it.sha256}").unlink()
    with pytest.raises(WaitError, match=f"sha256-{it.sha256} is missing"):
        wait_for(plan, kitchen.root, 0, Reporter(kitchen.log))
