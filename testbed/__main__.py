"""`python3 -m testbed COMMAND`: what the Makefile calls."""

import argparse
import json
import os
import shutil
import sys

from . import e2e, packages, preflight, python, up
from .cluster import cluster
from .locks import alone
from .paths import CACHE, HOME, STATE
from .progress import TestbedError, say, step
from .pulumi import Stack
from .toolchain import tools


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


def _cluster() -> None:
    """Start the embedded cluster and nothing on it, with the CLI to deploy to it."""
    preflight.check((), embedded=True)
    packages.install()
    for tool in tools.CLUSTER:
        tool.ensure()
    if shutil.which("pulumi") is None:
        tools.PULUMI.ensure()
    cluster.start(egress=up.hub_answers())


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
    "e2e": e2e.main,
    "cluster": _cluster,
    "drop": _drop,
    "clean": _clean,
    "clean-cache": _clean_cache,
}

if __name__ == "__main__":
    sys.exit(main())
