"""`python3 -m testbed COMMAND`: the end-to-end tests, and a cluster alone for them."""

import shutil
import sys

from dev import preflight
from dev.command_line import run
from dev.paths import STATE
from dev.toolchain.tools import PULUMI

from . import e2e, packages
from .cluster import cgroups, cluster
from .cluster.egress import hub_answers
from .toolchain import tools


def _cluster() -> None:
    """Start the embedded cluster and nothing on it, with the CLI to deploy to it."""
    preflight.check(tools.CLUSTER, cgroups.problems())
    packages.install()
    for tool in tools.CLUSTER:
        tool.ensure()
    if shutil.which("pulumi") is None:
        PULUMI.ensure()
    cluster.start(egress=hub_answers())


def _drop() -> None:
    """End the cluster and forget everything of this state folder."""
    cluster.drop(keep_disk=False)
    shutil.rmtree(STATE, ignore_errors=True)


COMMANDS = {"e2e": e2e.main, "cluster": _cluster, "drop": _drop}

if __name__ == "__main__":
    sys.exit(run("testbed", __doc__, COMMANDS))
