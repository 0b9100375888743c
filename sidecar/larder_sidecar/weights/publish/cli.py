"""The command `larder-sidecar publish`."""

import argparse
import contextlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..client.login import Login
from ..download.fetch import Fetch
from ..errors import FetchError, PlanError
from ..inputs import add_store_options, read_plan, read_token
from ..oci import parse_destination, parse_image_name
from ..progress import Reporter
from ..signals import exit_on_signals
from ..sources.by_url import Sources
from .engine import Engine, PublishEngine
from .models import PublishModels
from .push import Destination
from .registry import Registry
from .upload import CHUNK

if TYPE_CHECKING:
    from ..inputs import Subparsers

SMALLEST_CHUNK, LARGEST_CHUNK = 1 << 20, 16 << 30

EPILOG = """
Examples (weights.json: see `larder-sidecar fetch --help`):
  larder-sidecar publish --config weights.json --root ./store --to registry.example/weights --token-file token
  larder-sidecar publish --config weights.json --root ./store --to localhost:5000/weights --plain-http
  larder-sidecar publish --config weights.json --root ./store --to registry.example/engines \\
      --engine docker.io/ollama/ollama@sha256:…

Without --engine, each model becomes an image REGISTRY/PREFIX/<model id> with its files under /models. A line
{"event": "pushed", "model": …, "reference": "…@sha256:…", …} states its reference: write it into
larder:cache.image-volume.images. With --engine, one image REGISTRY/PREFIX/<last word of the engine's name> holds the
layers of the engine and all models under /weights/ollama: write its reference into larder:cache.prebuilt-image.image.

The same weights and base give the same reference. Blobs that are in the registry are not sent again; blobs of another
repository of the registry are mounted. An interrupted run resumes. No Docker daemon is needed.
"""


def add_parser(subparsers: "Subparsers") -> None:
    """Add the `publish` command; its namespace's `func` takes the namespace and returns the exit status."""
    parser = subparsers.add_parser(
        "publish",
        help="make images of the weights, or of an engine with them inside, and push them to a registry",
        description="Fetch the models of weights.json that the store lacks, and push each model as an image that\n"
        "Kubernetes mounts as a volume, or all models inside an engine's image.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_store_options(parser)
    parser.add_argument(
        "--to", required=True, metavar="REGISTRY/PREFIX", help="destination of the images, as in host:port/weights"
    )
    parser.add_argument("--engine", metavar="IMAGE", help="image to put the weights into, as in REGISTRY/NAME@sha256:…")
    parser.add_argument(
        "--platform",
        action="append",
        default=[],
        metavar="OS/ARCH",
        help="platform of the engine's image, as in linux/arm64; may be repeated (default: all)",
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file with a bearer token that may push")
    parser.add_argument(
        "--credentials-file", type=Path, metavar="FILE", help="file with user:password, as of a robot account"
    )
    parser.add_argument("--plain-http", action="store_true", help="use HTTP without TLS, and send no credentials")
    parser.add_argument(
        "--chunk-size",
        type=_size,
        default=CHUNK,
        metavar="SIZE",
        help="bytes of each part of a blob, as in 32Mi (default 64Mi)",
    )
    parser.set_defaults(func=run)


def _size(text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,5})(Mi|Gi)", text)
    size = int(found[1]) << {"Mi": 20, "Gi": 30}[found[2]] if found else 0
    if not SMALLEST_CHUNK <= size <= LARGEST_CHUNK:
        msg = f"{text!r} is not between 1Mi and 16Gi"
        raise argparse.ArgumentTypeError(msg)
    return size


def run(options: argparse.Namespace) -> int:
    """Run the command; return 0 if every image is in the registry."""
    reporter = Reporter()
    try:
        with exit_on_signals():
            _run(options, reporter)
    except FetchError as error:
        print(f"larder-sidecar publish: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _run(options: argparse.Namespace, reporter: Reporter) -> None:
    to = parse_destination(options.to)
    login = _read_login(options)
    engine = parse_image_name(options.engine) if options.engine else None
    if options.platform and not engine:
        raise PlanError("--platform without --engine", "Remove --platform: images of weights fit every platform.")
    plan = read_plan(options.config)
    with Sources(read_token(None)) as sources:
        Fetch(plan, options.root, sources, reporter).run()
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(Registry(to.host, plain_http=options.plain_http, login=login))
        destination = Destination(registry, to.prefix, reporter, chunk=options.chunk_size)
        if engine is None:
            pushed = PublishModels(plan, options.root, destination).run()
        else:
            # Credentials are for the destination; a base in another registry is read without any.
            source = registry if engine.host == to.host else stack.enter_context(Registry(engine.host))
            base = Engine(source, engine.repository, engine.digest)
            pushed = [PublishEngine(plan, options.root, destination, base, options.platform).run()]
    uploaded, reused = sum(it.uploaded_bytes for it in pushed), sum(it.reused_bytes for it in pushed)
    reporter.event("done", images=len(pushed), uploaded_bytes=uploaded, reused_bytes=reused)


def _read_login(options: argparse.Namespace) -> Login:
    """Read the credentials. Raises PlanError."""
    files = [name for name in ("token_file", "credentials_file") if getattr(options, name)]
    if options.plain_http and files:
        option = f"--{files[0].replace('_', '-')}"
        raise PlanError(f"{option} with --plain-http", "Remove one of them: credentials are never sent in clear text.")
    if len(files) > 1:
        raise PlanError("--token-file with --credentials-file", "Remove one: a registry takes one kind of login.")
    password = read_token(options.credentials_file) if options.credentials_file else None
    if password and not all(password.partition(":")):
        raise PlanError(f"{options.credentials_file}: no user:password is in the file", "Write one line with both.")
    return Login(read_token(options.token_file) if options.token_file else None, password)
