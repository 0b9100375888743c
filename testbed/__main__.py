"""`python3 -m testbed COMMAND`: what the Makefile calls."""

import argparse
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


def _cluster_up() -> None:
    from . import packages
    from .cluster import cluster
    from .toolchain import tools

    packages.install()
    for tool in tools.CLUSTER:
        tool.ensure()
    say(str(cluster.start()))


def _cluster_down() -> None:
    from .cluster import cluster

    cluster.drop(keep_disk=True)


COMMANDS = {"cluster-up": _cluster_up, "cluster-down": _cluster_down}

if __name__ == "__main__":
    sys.exit(main())
