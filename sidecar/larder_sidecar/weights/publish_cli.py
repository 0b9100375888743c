"""`larder-sidecar publish`: the command line of the publish role."""

import argparse
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .cli import CONFIG, ROOT, read_plan, read_token, terminate
from .errors import FetchError, PlanError
from .fetch import Fetch
from .progress import Reporter
from .publish import Publish
from .registry import Registry
from .sources import Sources

if TYPE_CHECKING:
    from .cli import Subparsers

_DESTINATION = re.compile(r"([A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-f:]+\](?::[0-9]{1,5})?)/([a-z0-9][a-z0-9._/-]*)")

EPILOG = """
Try it (weights.json: see `larder-sidecar fetch --help`):
  larder-sidecar publish --config weights.json --root ./store --to registry.example/weights --token-file token
  larder-sidecar publish --config weights.json --root ./store --to localhost:5000/weights --plain-http

Each model becomes an image REGISTRY/PREFIX/<model id>, its files under /models, the same bytes from the same weights.
It is told in a line {"event": "pushed", "model": …, "reference": "…@sha256:…", …}: that reference is what goes into
larder:cache.image-volume.images. Blobs that the registry has are not sent again. No docker daemon is needed.
"""


def add_parser(subparsers: "Subparsers") -> None:
    """Add the `publish` command; its namespace's `func` takes the namespace and returns the exit status."""
    parser = subparsers.add_parser(
        "publish",
        help="make an image of each model's weights and push it to a registry",
        description="Fills the store with the models of weights.json where it is not yet, and pushes each model as an\n"
        "image that Kubernetes mounts as a volume.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", type=Path, default=CONFIG, metavar="FILE", help="weights.json (default %(default)s)"
    )
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="store (default %(default)s)")
    parser.add_argument(
        "--to", required=True, metavar="REGISTRY/PREFIX", help="where images go, as in host:port/weights"
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file with a bearer token that may push")
    parser.add_argument("--plain-http", action="store_true", help="the registry speaks HTTP; no token is sent then")
    parser.set_defaults(func=run)


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; 0 if every image is in the registry."""
    signal.signal(signal.SIGTERM, terminate)
    reporter = Reporter()
    try:
        _run(options, reporter)
    except FetchError as error:
        print(f"larder-sidecar publish: {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(options: argparse.Namespace, reporter: Reporter) -> None:
    destination = _DESTINATION.fullmatch(options.to)
    if destination is None:
        raise PlanError(f"--to {options.to!r} names no place", "Write REGISTRY/PREFIX, as in registry.example/weights.")
    if options.plain_http and options.token_file:
        raise PlanError("--token-file with --plain-http", "A token is never sent in clear text: drop one of them.")
    plan = read_plan(options.config)
    token = read_token(options.token_file) if options.token_file else None
    with Sources(read_token(None)) as sources:
        Fetch(plan, options.root, sources, reporter).run()
    with Registry(destination[1], plain_http=options.plain_http, token=token) as registry:
        pushed = Publish(plan, options.root, registry, destination[2], reporter).run()
    uploaded, reused = sum(it.uploaded_bytes for it in pushed), sum(it.reused_bytes for it in pushed)
    reporter.event("done", images=len(pushed), uploaded_bytes=uploaded, reused_bytes=reused)
