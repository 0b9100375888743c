"""`larder-sidecar gateway`: read the file, say what is wrong with it, run."""

import argparse
import asyncio
import sys
from pathlib import Path

import uvloop

from ..config.gateway import Drain, Engine, GatewayConfig, Limits, ServedModel
from ..config.read import ConfigError, read_config
from .journal import LEVELS, Journal

EXAMPLE = GatewayConfig(
    engines=[Engine(kind="ollama", url="http://127.0.0.1:11434")],
    models=[
        ServedModel(
            id="tinyllama-1.1b-chat", engine_name="tinyllama:1.1b-chat-q4_K_M", aliases=["tinyllama", "gpt-3.5-turbo"]
        ),
        ServedModel(id="phi-3-mini", engine_name="phi3:mini", aliases=["phi3"]),
    ],
    default="tinyllama-1.1b-chat",
    limits=Limits(),
    drain=Drain(),
)

_DESCRIPTION = """\
Answer OpenAI, Anthropic and Ollama clients in front of one engine, or (`place: front`) of several, by model.

Requests name a model by its id, an alias or the engine's own name; without one the default answers.
Port `listen` is for clients; port `admin` has /livez /readyz /enginez /metrics and GET /drain.
SIGTERM lets requests in flight finish, within drain.grace-seconds.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "gateway",
        help="answer clients in front of one engine or several",
        description=_DESCRIPTION,
        epilog="A complete file, every value but engines and models the default:\n\n" + EXAMPLE.to_json(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config",
        required=True,
        type=Path,
        metavar="FILE",
        help="gateway.json, the file that ConfigMap larder-gateway holds",
    )
    parser.add_argument(
        "--log-level", choices=LEVELS, default="info", help="least level of the JSON lines on stdout (default: info)"
    )
    parser.set_defaults(func=_run)


def _run(arguments: argparse.Namespace) -> int:
    from ..bearer import TokenError
    from .serve import serve  # `--help` and a bad file need none of it
    from .wire.listener import ListenError

    try:
        config = read_config(arguments.config, GatewayConfig)
    except ConfigError as reason:
        print(*reason.problems, "see `larder-sidecar gateway --help` for a complete example", sep="\n", file=sys.stderr)
        return 2
    journal = Journal(arguments.log_level)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(config, journal))
    except (ListenError, TokenError) as reason:
        journal.close()
        print(reason, file=sys.stderr)
        return 1
    return 0
