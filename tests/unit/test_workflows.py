"""Permissions of CI: the promises that the workflow files make in their comments."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FLOWS: dict[str, dict[Any, Any]] = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
JOBS = {f"{flow}/{name}": job for flow, content in FLOWS.items() for name, job in content["jobs"].items()}
OWN = "github.event.pull_request.head.repo.full_name == github.repository"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_action_is_a_commit_with_its_version_beside_it(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("flow", FLOWS)
def test_a_fork_never_runs_with_our_rights(flow: str) -> None:
    triggers = FLOWS[flow][True]  # `on` is a boolean to YAML 1.1
    assert set(triggers) <= {"push", "pull_request"}
    assert FLOWS[flow]["permissions"] == {}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_reads_and_only_the_one_that_comments_writes(job: str) -> None:
    wanted = {"contents": "read"} | ({"pull-requests": "write"} if job == "preview/comment" else {})
    assert JOBS[job]["permissions"] == wanted


TRUSTED = [name for name, job in JOBS.items() if re.search(r"secrets\.|github\.token|write", json.dumps(job))]
"""Jobs that hold a secret or may write."""


def test_some_job_is_trusted_with_more_than_reading() -> None:
    assert "preview/comment" in TRUSTED
    assert set(TRUSTED) < set(JOBS)


@pytest.mark.parametrize("job", TRUSTED)
def test_secrets_and_write_access_are_for_branches_of_this_repository(job: str) -> None:
    assert OWN in JOBS[job]["if"]


@pytest.mark.parametrize("job", JOBS)
def test_no_script_is_put_together_from_what_others_may_write(job: str) -> None:
    """An expression in a script is pasted in before the shell reads it; a variable is not."""
    scripts = [step["run"] for step in JOBS[job]["steps"] if "run" in step]
    assert scripts
    assert [script for script in scripts if "${{" in script] == []


@pytest.mark.parametrize("job", JOBS)
def test_every_job_gives_up(job: str) -> None:
    assert JOBS[job]["timeout-minutes"] <= 90


GH = """#!/bin/sh
echo "$@" >> calls
case "$*" in *--paginate*) printf "$FOUND" ;; esac
"""


@pytest.mark.parametrize(
    ("found", "stacks", "call"),
    [
        ("", '["dev"]', "api repos/o/r/issues/7/comments --field body=@comment.md"),
        ("12\\n34\\n", '["dev"]', "api --method PATCH repos/o/r/issues/comments/12 --field body=@comment.md"),
        ("12\\n", "[]", "api --method PATCH repos/o/r/issues/comments/12 --field body=@comment.md"),
        ("", "[]", None),
    ],
    ids=["first", "renewed", "renewed without stacks", "none"],
)
def test_a_pull_request_has_one_comment(tmp_path: Path, found: str, stacks: str, call: str | None) -> None:
    for name, text in (("gh", GH), ("python", '#!/bin/sh\necho "<!-- mark -->"\n')):
        program = tmp_path / (".larder/venv/bin" if name == "python" else "bin") / name
        program.parent.mkdir(parents=True)
        program.write_text(text)
        program.chmod(0o755)
    environment = {"GITHUB_REPOSITORY": "o/r", "PULL_REQUEST": "7", "STACKS": stacks, "FOUND": found}
    subprocess.run(
        [ROOT / ".github" / "comment.sh"],
        cwd=tmp_path,
        env={**environment, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        check=True,
    )
    asked, *done = (tmp_path / "calls").read_text().splitlines()
    assert "--paginate repos/o/r/issues/7/comments" in asked
    assert done == ([call] if call else [])
