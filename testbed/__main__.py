"""`python3 -m testbed COMMAND`: what the Makefile calls."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import python, up
from .cluster import cluster
from .locks import alone
from .paths import CACHE, HOME, ROOT, STATE, VENV
from .progress import TestbedError, say, step
from .pulumi import Stack

SUITES = {"ollama": "e2e/test_ollama.py", "ui": "e2e/test_ui.py", "front": "e2e/test_front.py",
          "plugin": "plugin", "swap": "e2e/test_swap.py", "prune": "e2e/test_prune.py",
          "prebuilt": "e2e/test_prebuilt.py", "bad-input": "e2e/test_bad_input.py", "manager": "e2e/manager",
          "kserve": "e2e/test_kserve.py", "shimmy": "e2e/test_shimmy.py", "host": "e2e/test_host.py",
          "existing": "e2e/test_existing.py"}  # fmt: skip
"""By the word after ONLY=, in the order they run: the plugin's tests find the cluster that the first suite started."""


def main() -> int:
    """Run one command; a TestbedError is a message, everything else a traceback."""
    parser = argparse.ArgumentParser(prog="python3 -m testbed", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    try:
        COMMANDS[parser.parse_args().command]()
    except TestbedError as error:
        say(f"\nlarder: {error}")
        return 1
    except KeyboardInterrupt:
        say("\nlarder: interrupted; the same command goes on where this one stopped")
        return 130
    return 0


def _only_dev() -> None:
    """`make up` and `make down` are about the stack that tries Larder out; others belong to Pulumi."""
    stack = os.environ.get("STACK") or "dev"
    if stack != "dev":
        msg = (
            f"STACK={stack}: make up and make down are for stack dev alone. Deploy others with Pulumi itself: "
            f"`pulumi up --stack {stack}`; `make plan STACK={stack}` previews them here"
        )
        raise TestbedError(msg)


def _up() -> None:
    _only_dev()
    with alone(STATE / "lock", "another make is at work on this checkout's stack"):
        up.main()


def _preview() -> None:
    with alone(STATE / "lock", "another make is at work on this checkout's stack"):
        up.preview()


def _down() -> None:
    _only_dev()
    overlay = STATE / "overlay.dev.json"
    if not overlay.exists():
        say("Nothing to take down: this checkout has deployed no stack.")
        return
    running = cluster.running()
    if running is None and not os.environ.get("CONTEXT"):
        msg = (
            "the cluster of this checkout does not run, so its stack cannot be taken down. "
            "`make up` starts it again; `make clean` forgets both"
        )
        raise TestbedError(msg)
    with alone(STATE / "lock", "another make is at work on this checkout's stack"):
        Stack("dev", json.loads(overlay.read_text()), kubeconfig=running.kubeconfig if running else None).destroy()
    (STATE / "url.dev").unlink(missing_ok=True)


def _url() -> None:
    kept = STATE / f"url.{os.environ.get('STACK') or 'dev'}"
    if not kept.exists():
        msg = "no such stack runs from this checkout; `make up` first"
        raise TestbedError(msg)
    say(kept.read_text())


def _e2e() -> None:
    """Run the end-to-end suites in a state folder of their own; leave nothing of it behind unless KEEP is set."""
    only = os.environ.get("ONLY")  # make exports it empty when nobody set it
    if only and only not in SUITES:
        msg = f"ONLY={only} names no suite; there are {', '.join(SUITES)}"
        raise TestbedError(msg)
    python.ensure()
    tests = [f"tests/{path}" for suite, path in SUITES.items() if not only or suite == only]
    pytest: list[str | Path] = [VENV / "bin" / "python", "-m", "pytest", "-v", "--durations=12", *tests]
    env = os.environ | {"LARDER_STATE": str(HOME / "e2e"), "LARDER_E2E": "1"}
    with alone(HOME / "e2e.lock", "another make e2e runs in this checkout"):
        try:
            code = subprocess.run(pytest, cwd=ROOT, env=env, check=False).returncode
        finally:
            if not os.environ.get("KEEP"):
                subprocess.run([sys.executable, "-m", "testbed", "drop"], cwd=ROOT, env=env, check=True)
    if code:
        msg = "the end-to-end tests failed; KEEP=1 keeps their cluster for a look"
        raise TestbedError(msg)


def _drop() -> None:
    """End the cluster and forget everything of this state folder."""
    cluster.drop(keep_disk=False)
    shutil.rmtree(STATE, ignore_errors=True)


def _clean() -> None:
    with step("the cluster of this checkout, its weights and its state", 5):
        _drop()
    shutil.rmtree(HOME, ignore_errors=True)


def _clean_cache() -> None:
    shutil.rmtree(CACHE, ignore_errors=True)


COMMANDS = {
    "up": _up,
    "preview": _preview,
    "down": _down,
    "url": _url,
    "venv": python.ensure,
    "clouds": python.clouds,
    "e2e": _e2e,
    "drop": _drop,
    "clean": _clean,
    "clean-cache": _clean_cache,
}

if __name__ == "__main__":
    sys.exit(main())
