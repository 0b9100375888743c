"""`larder-sidecar`: one image, one command, a subcommand for each role."""

import argparse
import importlib
import sys
from collections.abc import Sequence

_ROLES = {
    "gateway": "larder_sidecar.gateway.command",
    "fetch": "larder_sidecar.weights.download.cli",
    "publish": "larder_sidecar.weights.publish.cli",
    "manager": "larder_sidecar.manager.command",
}
"""Modules with `add_parser(subparsers)`; a role is imported only when it is requested."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit status of the process."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="larder-sidecar", description="Every role of Larder.")
    subparsers = parser.add_subparsers(title="roles", metavar="ROLE", required=True)
    wanted = [role for role in _ROLES if role in words[:1]] or list(_ROLES)
    for role in wanted:
        importlib.import_module(_ROLES[role]).add_parser(subparsers)
    arguments = parser.parse_args(words)
    return int(arguments.func(arguments) or 0)
