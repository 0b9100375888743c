"""The options of `larder-sidecar fetch`, and its help."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..inputs import add_store_options
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
  ("sha256": "first-pull" accepts the hash that the hub states at the first pull, and records it. Without a "revision",
  the URL is that of any web server. "url": "oci://HOST/REPOSITORY@sha256:…" names an OCI artifact, which has the file
  under its sha256 or its name.)

Examples:
  larder-sidecar fetch --config weights.json --root ./store     fill ./store; the next run fetches 0 bytes
  OLLAMA_MODELS=./store OLLAMA_NOPRUNE=1 ollama serve           serve the models of the store
  larder-sidecar fetch --config weights.json --root ./store --wait 60     only wait until another process fills it
  larder-sidecar fetch --config weights.json --root ./mine --copy-from ./store     make a verified copy
  larder-sidecar fetch --config weights.json --root ./store --prune --forget others --dry-run     list removable files

Output: JSON lines (text on a terminal). The last line is {"event": "done", "fetched_bytes": …, "reused_bytes": …,
"seconds": …}.
Exit status: 0 if the store holds the plan; 3 if another try would fail the same way; 1 for other failures. stderr and
the termination log get the reason in one line. An interrupted run resumes.
With --patience, each failure that may go away is an event {"event": "again", "reason": …, "seconds": …}, with the
seconds until the next try. If a host has a rate limit, the run waits until it ends: {"event": "waiting", "file": …,
"reason": …, "wait_seconds": …}.
Environment: HTTPS_PROXY (may hold user:password@), NO_PROXY (names, addresses, HOST:PORT, ranges such as 10.0.0.0/8)
and SSL_CERT_FILE.
"""


def add_options(subparsers: "Subparsers") -> argparse.ArgumentParser:
    """Add the `fetch` command; returns its parser."""
    parser = subparsers.add_parser(
        "fetch",
        help="fill a store with the weights of a plan, verified and resumable",
        description="Fill the engine's store with the models of weights.json: download missing files, verify every\n"
        "byte, and make a model visible only when it is complete. A complete store is left as it is.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_store_options(parser)
    _add_seconds(parser, "--wait", None, 0, "wait up to SECONDS until the store holds the plan, and write nothing")
    _add_path(
        parser, "--copy-from", "DIR", "copy from the store at DIR once it holds the plan (see --wait), and verify"
    )
    _add_path(parser, "--link", "DIR", "link to the weights images that are mounted at DIR/<model id>")
    _add_path(parser, "--token-file", "FILE", "file with the hub's token (default: environment variable HF_TOKEN)")
    _add_seconds(parser, "--stall-seconds", 30.0, 0.1, "end an attempt after this silence (default 30)")
    _add_seconds(parser, "--lease-seconds", 600.0, 0, "wait up to SECONDS for another writer (default 600)")
    _add_seconds(parser, "--patience", 0.0, 0, "repeat failures that may go away, for up to SECONDS (default 0)")
    _add_flag(parser, "--model-folders", "also make models/ID/ for each model, with hard links to its files")
    _add_flag(parser, "--prune", "afterwards remove the files that only forgotten plans need")
    parser.add_argument(
        "--forget",
        action="append",
        default=[],
        metavar="PLAN",
        help="with --prune: plan to forget, by the beginning of its digest; "
        f"`{OTHERS}` means every plan but this one. A deployment whose plan is forgotten must fetch again",
    )
    _add_flag(parser, "--dry-run", "with --prune: list the files to remove; fetch and remove nothing")
    _add_flag(parser, "--if-there", "with --forget: accept a plan that is not in the store")
    _add_flag(parser, "--verify", "hash every file again, even if the marker lists it")
    _add_path(parser, "--termination-log", "FILE", f"file for the reason (default {TERMINATION_LOG}, if it exists)")
    return parser


def _add_flag(parser: argparse.ArgumentParser, option: str, text: str) -> None:
    parser.add_argument(option, action="store_true", help=text)


def _add_path(parser: argparse.ArgumentParser, option: str, metavar: str, text: str) -> None:
    parser.add_argument(option, type=Path, metavar=metavar, help=text)


def _add_seconds(parser: argparse.ArgumentParser, option: str, default: float | None, least: float, text: str) -> None:
    def seconds(value: str) -> float:
        number = float(value)
        if not least <= number <= _LONGEST:  # false for NaN, with which no wait would end
            msg = f"{value} is not between {least:g} and {_LONGEST} seconds"
            raise argparse.ArgumentTypeError(msg)
        return number

    parser.add_argument(option, type=seconds, default=default, metavar="SECONDS", help=text)
