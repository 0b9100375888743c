"""`larder-sidecar fetch`: the command line of the fetch role."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ..config.weights import WeightsPlan
from .assemble import copy, link
from .errors import FetchError, PlanError
from .fetch import Fetch, Summary
from .model_folders import make_model_folders
from .patience import Patience
from .progress import LAST_WORD, Reporter, say
from .prune import OTHERS, Prune
from .sources import Sources
from .wait import wait_for

if TYPE_CHECKING:
    # argparse has no public name for what add_subparsers returns.
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

CONFIG = Path("/etc/larder/weights/weights.json")
ROOT = Path("/weights/ollama")
TERMINATION_LOG = Path("/dev/termination-log")
"""Kubernetes' default terminationMessagePath; `kubectl describe pod` shows what is in it."""
_LONGEST = 7 * 86_400
MESSAGE_BYTES = 4096
"""More is cut off by the kubelet."""

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
"seconds": …}. Exit status 1: one line with the reason on stderr and in the termination log. Interrupted runs resume.
HTTPS_PROXY (with user:password@ where it asks for them), NO_PROXY and SSL_CERT_FILE are respected.
"""


def add_parser(subparsers: "Subparsers") -> None:
    """Add the `fetch` command; its namespace's `func` takes the namespace and returns the exit status."""
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
    parser.add_argument("--verify", action="store_true", help="hash every file again, whatever the marker says")
    parser.add_argument(
        "--termination-log", type=Path, metavar="FILE", help=f"default {TERMINATION_LOG}, where that exists"
    )
    parser.set_defaults(func=run)


def _seconds(least: float) -> Callable[[str], float]:
    def seconds(text: str) -> float:
        value = float(text)
        if not least <= value <= _LONGEST:  # false for NaN, with which no wait would end
            msg = f"{text} is not between {least:g} and {_LONGEST} seconds"
            raise argparse.ArgumentTypeError(msg)
        return value

    return seconds


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; 0 if the store holds the plan."""
    signal.signal(signal.SIGTERM, terminate)
    reporter = Reporter()
    try:
        summary = _run(options, reporter)
    except FetchError as error:
        leave_message(str(error), options.termination_log)
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    reporter.event(
        "done",
        fetched_bytes=summary.fetched_bytes,
        reused_bytes=summary.reused_bytes,
        seconds=round(summary.seconds, 3),
    )
    if not options.dry_run:
        done = f"{summary.fetched_bytes} bytes fetched, {summary.reused_bytes} reused, {summary.seconds:.0f} s"
        leave_message(f"the store holds the plan: {done}", options.termination_log)
    if reporter.lost:
        _complain(f"the store holds the plan; {reporter.lost} lines about it found nobody who reads stdout")
    return 0


def _run(options: argparse.Namespace, reporter: Reporter) -> Summary:
    plan = read_plan(options.config)
    _check_pruning(options)
    prune = Prune(plan, options.root, options.forget, reporter, options.lease_seconds)
    if options.dry_run:
        reporter.event("would-free", bytes=prune.preview())
        return Summary(0, 0, 0.0)
    if options.link:
        if options.copy_from or options.wait is not None:
            raise PlanError("--link goes with neither --copy-from nor --wait", "Images are there when the pod starts.")
        return link(plan, options.root, options.link, reporter)
    if options.copy_from:
        return copy(plan, options.root, options.copy_from, reporter, wait_seconds=options.wait or 0)
    if options.wait is not None:
        return wait_for(plan, options.root, options.wait, reporter)
    with Sources(read_token(options.token_file), stall_seconds=options.stall_seconds) as sources:
        summary = Fetch(
            plan=plan,
            root=options.root,
            source=sources,
            reporter=reporter,
            patience=Patience(stall_seconds=options.stall_seconds),
            lease_seconds=options.lease_seconds,
            distrust=options.verify,
        ).run()
    if options.model_folders:
        make_model_folders(plan, options.root)
    if options.prune:
        reporter.event("freed", bytes=prune.run())
    return summary


def _check_pruning(options: argparse.Namespace) -> None:
    """Raises PlanError where options do not go together."""
    if (options.forget or options.dry_run) and not options.prune:
        raise PlanError("--forget and --dry-run say how to --prune", "Add --prune, or leave them out.")
    if options.prune and (options.link or options.copy_from or options.wait is not None):
        raise PlanError("--prune goes with none of --link, --copy-from and --wait", "Prune the store that fetch fills.")


def read_plan(path: Path) -> WeightsPlan:
    """Raises PlanError with every problem of the file."""
    try:
        return WeightsPlan.from_json(path.read_bytes())
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}", "Pass --config FILE; --help shows a complete example.") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise PlanError(f"{path}: {problems}", "--help shows a complete example.") from error


def read_token(path: Path | None) -> str | None:
    """From the file, else from HF_TOKEN, else None. Raises PlanError where it is no token; it is never quoted."""
    if path is None:
        where, token = "HF_TOKEN", os.environ.get("HF_TOKEN", "").strip()
        if not token:
            return None
    else:
        where = str(path)
        try:
            token = path.read_text().strip()
        except (OSError, UnicodeDecodeError):
            raise PlanError(f"{where}: the token cannot be read", "Check the Secret and its mount.") from None
    if not re.fullmatch(r"[!-~]+", token):
        raise PlanError(f"{where}: holds no token", "One word of printable ASCII is expected.")
    return token


def leave_message(text: str, path: Path | None) -> None:
    """Put `text` where Kubernetes looks for the reason; the default place is only used where it exists."""
    target = path or TERMINATION_LOG
    if path is None and not target.is_file():
        return
    try:
        target.write_bytes(text.encode()[:MESSAGE_BYTES])
    except OSError as error:
        _complain(f"cannot write {target}: {error.strerror}")


def _complain(text: str) -> None:
    say(sys.stderr, f"larder-sidecar fetch: {text}", seconds=LAST_WORD)


def terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (the signature of signal handlers)
    """End the process by unwinding it."""
    # As PID 1 of a container the default would be to ignore it; unwinding gives the lease back.
    sys.exit(128 + number)
