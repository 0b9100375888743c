"""Shared part of the roles that serve: a file, a log, a loop that runs until a signal."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import uvloop

from .config.base import Model
from .config.read import ConfigError, read_config
from .log import LEVELS, Log

C = TypeVar("C", bound=Model)


def add_arguments(parser: argparse.ArgumentParser, role: str, run: Callable[[argparse.Namespace], int]) -> None:
    """Add `--config` and `--log-level`, and the function to run."""
    parser.add_argument(
        "--config",
        required=True,
        type=Path,
        metavar="FILE",
        help=f"{role}.json, the file in ConfigMap larder-{role}",
    )
    parser.add_argument(
        "--log-level", choices=LEVELS, default="info", help="lowest level of the JSON lines on stdout (default: info)"
    )
    parser.set_defaults(func=run)


def run(
    arguments: argparse.Namespace,
    role: str,
    model: type[C],
    serve: Callable[[C, Log], Coroutine[None, None, None]],
    refusals: tuple[type[Exception], ...],
) -> int:
    """Serve until it ends. Return the exit status: 2 for an invalid file, 1 if it cannot start, else 0."""
    try:
        config = read_config(arguments.config, model)
    except ConfigError as reason:
        print(*reason.problems, f"see `larder-sidecar {role} --help` for a complete example", sep="\n", file=sys.stderr)
        return 2
    log = Log(arguments.log_level)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(config, log))
    except refusals as reason:
        log.close()
        print(reason, file=sys.stderr)
        return 1
    return 0
