"""`python3 -m dev COMMAND`, which the Makefile calls."""

import json
import os
import shutil
import sys
from pathlib import Path

from . import python, up
from .command_line import run
from .locks import alone
from .paths import CACHE, HOME, STATE
from .progress import CommandError, say, step
from .pulumi import Stack


def _only_dev() -> None:
    """Refuse other stacks: `make up` and `make down` serve only stack dev, and Pulumi deploys the others."""
    stack = os.environ.get("STACK") or "dev"
    if stack != "dev":
        msg = (
            f"STACK={stack}: make up and make down serve only stack dev. Fix: deploy others with Pulumi: "
            f"`pulumi up --stack {stack}`; `make plan STACK={stack}` previews them here"
        )
        raise CommandError(msg)


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
    kubeconfig = None if os.environ.get("CONTEXT") else _embedded()
    with alone(STATE / "lock", "another make is at work on this checkout's stack"):
        Stack("dev", json.loads(overlay.read_text()), kubeconfig=kubeconfig).destroy()
    (STATE / "url.dev").unlink(missing_ok=True)


def _embedded() -> Path:
    from . import embedded  # an existing cluster needs no testbed

    if (kubeconfig := embedded.kubeconfig()) is None:
        msg = (
            "the cluster of this checkout does not run, so its stack cannot be removed. Fix: "
            "`make up` starts it again; `make clean` removes both"
        )
        raise CommandError(msg)
    return kubeconfig


def _url() -> None:
    kept = STATE / f"url.{os.environ.get('STACK') or 'dev'}"
    if not kept.exists():
        msg = "no such stack runs from this checkout. Fix: run `make up` first"
        raise CommandError(msg)
    say(kept.read_text())


def _clean() -> None:
    with step("the cluster of this checkout, its weights and its state", 5):
        if (STATE / "cluster").exists():
            from . import embedded

            embedded.drop()
        shutil.rmtree(STATE, ignore_errors=True)
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
    "clean": _clean,
    "clean-cache": _clean_cache,
}

if __name__ == "__main__":
    sys.exit(run("dev", __doc__, COMMANDS))
