"""`python -m testbed.hub make` puts a tiny model on a local hub, `python -m testbed.hub serve` serves it."""

import argparse
import signal
import sys
from pathlib import Path

from .repository import Repositories
from .server import Hub
from .tiny_model import tiny_model

REPO, FILE = "larder/tiny-random-GGUF", "tiny-random.gguf"
"""The repository and file that catalog/models/tiny-random.yaml names."""

EXAMPLES = """examples:
  python -m testbed.hub make --root .larder/hub
  python -m testbed.hub make --root .larder/hub --seed 2 --repo larder/tiny-two-GGUF --file tiny-two.gguf
  python -m testbed.hub serve --root .larder/hub --listen 127.0.0.1:8090
  curl http://127.0.0.1:8090/_stats      bytes of each file that were sent, and the number of requests
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; print the model made, or the URL of the hub, as one line."""
    parser = argparse.ArgumentParser(
        prog="python -m testbed.hub",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="make a tiny random model; prints repo, revision, bytes, sha256 as JSON")
    serve = commands.add_parser("serve", help="serve the folder until interrupted")
    for command in (make, serve):
        command.add_argument("--root", type=Path, required=True, help="folder of the hub")
    make.add_argument("--seed", type=int, default=0, help="another number, another model (default 0)")
    make.add_argument("--bytes", type=int, default=0, help="stretch the file to this size (default: as small as it is)")
    make.add_argument("--repo", default=REPO, help=f"default {REPO}")
    make.add_argument("--file", default=FILE, help=f"default {FILE}")
    serve.add_argument("--listen", default="127.0.0.1:8090", help="HOST:PORT, port 0 picks one (default %(default)s)")
    options = parser.parse_args(arguments)
    if options.command == "make":
        chunks = tiny_model(options.seed, size=options.bytes)
        print(Repositories(options.root).publish(options.repo, options.file, chunks).to_json())
        return 0
    host, _, port = options.listen.rpartition(":")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Hub(options.root, (host, int(port))) as hub:
        print(hub.url, flush=True)
        signal.pause()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
