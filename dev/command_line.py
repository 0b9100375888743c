"""The command line of `python3 -m dev` and `python3 -m testbed`: one word."""

import argparse
from collections.abc import Callable, Mapping

from .progress import CommandError, say


def run(package: str, description: str | None, commands: Mapping[str, Callable[[], None]]) -> int:
    """Run one command; return the exit status. A CommandError prints a message, any other error a traceback."""
    parser = argparse.ArgumentParser(prog=f"python3 -m {package}", description=description)
    parser.add_argument("command", choices=commands)
    try:
        commands[parser.parse_args().command]()
    except CommandError as error:
        say(f"\nlarder: {error}")
        return 1
    except KeyboardInterrupt:
        say("\nlarder: interrupted; the same command goes on where this one stopped")
        return 130
    return 0
