"""`python3 -m testbed COMMAND`: what the Makefile calls."""

import argparse
import json
import os
import shutil
import subprocess
import sys

from .progress import TestbedError, say


def main() -> int:
    """Run one command; a TestbedError is a message, everything else a traceback."""
    parser = argparse.ArgumentParser(prog="python3 -m testbed", description=__doc__)
    parser.add_argument("command", choices=sorted(COMMANDS))
    try:
        COMMANDS[parser.parse_args().command]()
    except TestbedError as error:
        say(f"\nlarder: {error}")
        return 1
    except KeyboardInterrupt:
        say("\nlarder: interrupted; the same command goes on where this one stopped")
        return 130
    return 0


def _up() -> None:
    from . import up

    up.main()


def _down() -> None:
    from .cluster import cluster
    from .paths import STATE
    from .pulumi import Stack

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
    Stack("dev", json.loads(overlay.read_text()), kubeconfig=running.kubeconfig if running else None).destroy()
    (STATE / "url.dev").unlink(missing_ok=True)


def _url() -> None:
    from .paths import STATE

    kept = STATE / f"url.{os.environ.get('STACK') or 'dev'}"
    if not kept.exists():
        msg = "no such stack runs from this checkout; `make up` first"
        raise TestbedError(msg)
    say(kept.read_text())


def _clean() -> None:
    from .cluster import cluster
    from .paths import HOME, STATE

    cluster.drop(keep_disk=False)
    shutil.rmtree(HOME, ignore_errors=True)
    shutil.rmtree(STATE, ignore_errors=True)


def _clean_cache() -> None:
    from .paths import CACHE

    shutil.rmtree(CACHE, ignore_errors=True)


def _venv() -> None:
    from . import python

    python.ensure()


def _e2e() -> None:
    """Run tests/e2e in a state folder of their own, and leave nothing of it behind unless KEEP is set."""
    from . import python
    from .paths import HOME, ROOT, VENV

    python.ensure()
    state = HOME / "e2e"
    env = os.environ | {"LARDER_STATE": str(state), "LARDER_E2E": "1"}
    only = os.environ.get("ONLY")  # make exports it empty when nobody set it
    # The plugin's tests want an API server and find the cluster that the first suite has started.
    suites = ["e2e/test_ollama.py", "plugin", "e2e/test_swap.py", "e2e/test_host.py", "e2e/test_existing.py"]
    tests = [f"tests/{suite}" for suite in suites if not only or suite == f"e2e/test_{only}.py"]
    if not tests:
        msg = f"ONLY={only} names no suite; there are ollama, swap, host and existing"
        raise TestbedError(msg)
    try:
        code = subprocess.run(
            [VENV / "bin" / "python", "-m", "pytest", "-v", "--durations=12", *tests], cwd=ROOT, env=env, check=False
        ).returncode
    finally:
        if not os.environ.get("KEEP"):
            subprocess.run([sys.executable, "-m", "testbed", "drop"], cwd=ROOT, env=env, check=True)
    if code:
        msg = "the end-to-end tests failed; KEEP=1 keeps their cluster for a look"
        raise TestbedError(msg)


def _drop() -> None:
    from .cluster import cluster
    from .paths import STATE

    cluster.drop(keep_disk=False)
    shutil.rmtree(STATE, ignore_errors=True)


COMMANDS = {
    "venv": _venv,
    "e2e": _e2e,
    "drop": _drop,
    "up": _up,
    "down": _down,
    "url": _url,
    "clean": _clean,
    "clean-cache": _clean_cache,
}

if __name__ == "__main__":
    sys.exit(main())
