"""`larder-sidecar gateway`: read the file, report its problems, run."""

import argparse
import functools

from .. import role
from ..config.gateway import Drain, Engine, GatewayConfig, Limits, ServedModel
from ..config.routing import Routing, Rule

EXAMPLE = GatewayConfig(
    engines=[Engine(kind="ollama", url="http://127.0.0.1:11434")],
    models=[
        ServedModel(
            id="tinyllama-1.1b-chat", engine_name="tinyllama:1.1b-chat-q4_K_M", aliases=["tinyllama", "gpt-3.5-turbo"]
        ),
        ServedModel(id="phi-3-mini", engine_name="phi3:mini", aliases=["phi3"]),
    ],
    routing=Routing(
        default="tinyllama-1.1b-chat",
        rules=[Rule(name="code", pattern="(?i)(write|implement|refactor).*(code|function|class)", model="phi3")],
    ),
    limits=Limits(),
    drain=Drain(),
)

_DESCRIPTION = """\
Answer OpenAI, Anthropic and Ollama clients in front of one engine, or (`place: front`) of several, by model.

Requests name a model by its id, an alias or the engine's own name. For requests without a name, or with `auto`, the
rules of `routing` choose in their order, and then its default. POST /api/llm/route explains the choice for a body.
A changed file is in force two seconds later, with its names and rules; an invalid file changes nothing.
Web pages of the origins in cors.origins may send requests; clients other than browsers need not be listed.
Port `listen` is for clients. Port `admin` serves /livez /readyz /enginez /metrics and GET /drain, which requires the
header `x-larder-drain: 1` and is called by the pod's preStop hook.
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
    role.add_arguments(parser, "gateway", _run)


def _run(arguments: argparse.Namespace) -> int:
    from ..bearer import TokenError
    from ..http.listener import ListenError
    from .heap import keep_freed
    from .serve import serve  # not needed by `--help` and for a bad file

    keep_freed()
    return role.run(
        arguments, "gateway", GatewayConfig, functools.partial(serve, arguments.config), (ListenError, TokenError)
    )
