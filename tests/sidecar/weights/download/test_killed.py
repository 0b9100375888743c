"""Killed with -9 before any change it makes on the disk: nothing incomplete is listed, and the next run ends it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples import ALL
from tests.sidecar.weights.kitchen import Kitchen

NEVER = 10_000
STEP = 1 if ALL else 3
"""Every change in CI, every third one otherwise."""
RUNNER = """
import os, signal, sys
from larder_sidecar.cli import main
from larder_sidecar.weights.download import cli  # once, not in each process

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.utime"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def arm(root: str, left: int) -> None:
    def hook(event: str, args: tuple) -> None:
        nonlocal left
        if event in CHANGES or (event == "open" and args[2] & WRITES):
            # The second name is the one that is made; the first of a symlink may lie anywhere.
            if any(isinstance(arg, (str, os.PathLike)) and os.fspath(arg).startswith(root) for arg in args[:2]):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


root, *command = sys.argv[1:]
for line in sys.stdin:
    if not (pid := os.fork()):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        arm(root, int(line))
        os._exit(main(command))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""`larder-sidecar` once a line: the number of changes below the root after which it is killed."""


@pytest.fixture
def runs(kitchen: Kitchen) -> Callable[..., Callable[[int], int]]:
    """`fetch` with these options, ready to be killed; each call is a process, and returns its exit status."""

    def of(*options: str) -> Callable[[int], int]:
        command = [sys.executable, "-c", RUNNER, str(kitchen.root), "fetch", *options, "--root", str(kitchen.root)]
        environment = {"PATH": os.environ["PATH"]}
        runner = kitchen.stack.enter_context(
            subprocess.Popen(
                command, env=environment, text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        )
        kitchen.stack.callback(runner.kill)

        def run(changes: int) -> int:
            assert runner.stdin
            assert runner.stdout
            runner.stdin.write(f"{changes}\n")
            return int(runner.stdout.readline())

        return run

    return of


@pytest.mark.parametrize("way", ["hub", "copy"])
def test_killed_before_any_change_nothing_incomplete_is_listed_and_the_next_run_ends_it(
    kitchen: Kitchen, runs: Callable[..., Callable[[int], int]], way: str, tmp_path: Path
) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    options: list[str] = []
    if way == "copy":
        kitchen.fetch(plan)
        options = ["--copy-from", str(kitchen.root.rename(tmp_path / "shared"))]
    config = tmp_path / "weights.json"
    config.write_text(plan.to_json())
    run, changes = runs("--config", str(config), *options), 0
    while (status := run(changes)) == -signal.SIGKILL:
        assert kitchen.models() <= {"tiny:latest"}
        assert run(NEVER) == 0
        assert kitchen.models() == {"tiny:latest"}
        shutil.rmtree(kitchen.root, ignore_errors=True)
        changes += STEP
    assert status == 0
    assert changes > 20
