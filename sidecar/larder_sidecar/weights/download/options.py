"""The options of `larder-sidecar fetch`, and its help."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..inputs import CONFIG, ROOT
from ..store.prune import OTHERS

if TYPE_CHECKING:
    from ..inputs import Subparsers

TERMINATION_LOG = Path("/dev/termination-log")
"""Kubernetes' default terminationMessagePath; `kubectl describe pod` shows what is in it."""
_LONGEST = 7 * 86_400

EPILOG = """
A complete weights.json:
  {"schema": 1,
   "models": [{
     "id": "tinyllama-1.1b-chat", "served-names": ["tinyllama-1.1b-chat"], "format": "gguf",
     "files": [{
       "path": "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf",
       "url": "https://huggingface.co/TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF/resolve/REVISION/FILE",
       "revision": "52e7645ba7c309695bec7ac98f4f005b139cf465", "bytes": 668788096,
       "sha256": "9fecc3b3cd76bba89d504f29b616eedf7da85b96540e490ca5824d3f7d2776a0"}],
     "ollama": {"template": "{{ .Prompt }}", "params": {"stop": ["</s>"]}}}]}
  ("sha256": "first-pull" takes the hub's word at the first pull and records it; without a "revision" the URL is that of
  any web server; "url": "oci://HOST/REPOSITORY@sha256:…" is an artifact that has the file by its sha256 or its name)

Try it:
  larder-sidecar fetch --config weights.json --root ./store     fill ./store; run again: 0 bytes fetched
  OLLAMA_MODELS=./store OLLAMA_NOPRUNE=1 ollama serve           an engine over it
  larder-sidecar fetch --config weights.json --root ./store --wait 60     only wait until somebody filled it
  larder-sidecar fetch --config weights.json --root ./mine --copy-from ./store     a verified copy of it
  larder-sidecar fetch --config weights.json --root ./store --prune --forget others --dry-run     see what would go

Output: JSON lines (on a terminal: text); the last one is {"event": "done", "fetched_bytes": …, "reused_bytes": …,
"seconds": …}. Exit status 1, or 3 where trying again would not help: one line with the reason on stderr and in the
termination log. Interrupted runs resume. With --patience each failure that may go away by itself is an event:
{"event": "again", "reason": …, "seconds": …} (seconds until the next try). A host's rate limit is waited for to its
end: {"event": "waiting", "file": …, "reason": …, "wait_seconds": …}.
HTTPS_PROXY (with user:password@ where it asks for them), NO_PROXY (names, addresses, HOST:PORT, ranges such as
10.0.0.0/8) and SSL_CERT_FILE are respected.
"""


def add_options(subparsers: "Subparsers") -> argparse.ArgumentParser:
    """Add the `fetch` command; returns its parser."""
    parser = subparsers.add_parser(
        "fetch",
        help="fill a store with the weights of a plan, verified and resumable",
        description="Fills the engine's store with the models of weights.json: downloads what is missing, verifies\n"
        "every byte, makes a model visible only when it is complete, and does nothing where nothing is missing.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", type=Path, default=CONFIG, metavar="FILE", help="weights.json (default %(default)s)"
    )
    parser.add_argument(
        "--root", type=Path, default=ROOT, metavar="DIR", help="store, Ollama's OLLAMA_MODELS (default %(default)s)"
    )
    parser.add_argument(
        "--wait", type=_seconds(0), metavar="SECONDS", help="write nothing; wait so long until the store holds the plan"
    )
    parser.add_argument(
        "--copy-from",
        type=Path,
        metavar="DIR",
        help="copy from the store there, when it holds the plan (--wait), verified",
    )
    parser.add_argument(
        "--link", type=Path, metavar="DIR", help="link to the weights images that are mounted at DIR/<model id>"
    )
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="file with the hub's token (default: environment HF_TOKEN)"
    )
    parser.add_argument(
        "--stall-seconds",
        type=_seconds(0.1),
        default=30.0,
        metavar="SECONDS",
        help="silence that ends an attempt (default 30)",
    )
    parser.add_argument(
        "--lease-seconds",
        type=_seconds(0),
        default=600.0,
        metavar="SECONDS",
        help="wait for another writer (default 600)",
    )
    parser.add_argument(
        "--patience",
        type=_seconds(0),
        default=0.0,
        metavar="SECONDS",
        help="after a failure that may go away by itself, begin again for so long (default 0: one try)",
    )
    parser.add_argument(
        "--model-folders",
        action="store_true",
        help="give each model a folder of its own too, models/ID/ with its files as hard links",
    )
    parser.add_argument(
        "--prune", action="store_true", help="then take out of the store what only forgotten plans wanted"
    )
    parser.add_argument(
        "--forget",
        action="append",
        default=[],
        metavar="PLAN",
        help=f"with --prune: a plan that nobody wants any more, by the beginning of its digest, or `{OTHERS}`: all but"
        " this one. A store may serve several deployments: whose plan is forgotten has to fetch again",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="with --prune: fetch and remove nothing, tell what would go"
    )
    parser.add_argument(
        "--if-there", action="store_true", help="with --forget: a plan that is not there was forgotten before, no error"
    )
    parser.add_argument("--verify", action="store_true", help="hash every file again, whatever the marker says")
    parser.add_argument(
        "--termination-log", type=Path, metavar="FILE", help=f"default {TERMINATION_LOG}, where that exists"
    )
    return parser


def _seconds(least: float) -> Callable[[str], float]:
    def seconds(text: str) -> float:
        value = float(text)
        if not least <= value <= _LONGEST:  # false for NaN, with which no wait would end
            msg = f"{text} is not between {least:g} and {_LONGEST} seconds"
            raise argparse.ArgumentTypeError(msg)
        return value

    return seconds
