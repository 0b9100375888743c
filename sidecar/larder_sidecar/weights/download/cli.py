"""The command `larder-sidecar fetch`."""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...config.weights import EXIT_PERMANENT, WeightsPlan
from ..errors import FetchError, PlanError
from ..inputs import read_plan, read_token
from ..progress import LAST_LINE_SECONDS, Reporter, Summary, write_line
from ..retry import Patience, retry_work
from ..signals import exit_on_signals
from ..sources.by_url import Sources
from ..store.assemble import copy, link
from ..store.marker import Stored, wait_for
from ..store.model_folders import make_model_folders
from ..store.prune import Prune
from .fetch import Fetch
from .options import TERMINATION_LOG, add_options

if TYPE_CHECKING:
    from ..inputs import Subparsers

MESSAGE_BYTES = 4096
"""Bytes of a termination message; the kubelet cuts off the rest."""


def add_parser(subparsers: "Subparsers") -> None:
    """Add the `fetch` command; its namespace's `func` takes the namespace and returns the exit status."""
    add_options(subparsers).set_defaults(func=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return 0 if the store holds the plan, EXIT_PERMANENT if no other try helps, else 1."""
    reporter, verified = Reporter(), dict[str, Stored]()
    try:
        with exit_on_signals():
            summary, pruned = retry_work(
                partial(_run, options, reporter, verified), seconds=options.patience, failed=partial(_report, reporter)
            )
    except FetchError as error:
        leave_message(str(error), options.termination_log)
        _warn(str(error))
        return EXIT_PERMANENT if error.permanent else 1
    reporter.event(
        "done",
        fetched_bytes=summary.fetched_bytes,
        reused_bytes=summary.reused_bytes,
        seconds=round(summary.seconds, 3),
    )
    done = f"{summary.fetched_bytes} bytes fetched, {summary.reused_bytes} reused, {summary.seconds:.0f} s"
    parts = [] if options.dry_run else [f"the store holds the plan: {done}"]
    leave_message("; ".join([*parts, *pruned]), options.termination_log)
    if reporter.lost:
        _warn(f"the store holds the plan; {reporter.lost} lines of progress could not be written to stdout")
    return 0


def _report(reporter: Reporter, error: FetchError, pause: float) -> None:
    reporter.event("again", reason=str(error), seconds=round(pause, 1))


def _run(
    options: argparse.Namespace, reporter: Reporter, verified: dict[str, Stored], left: float
) -> tuple[Summary, list[str]]:
    """Return the result, and the pruned plans as texts."""
    plan = read_plan(options.config)
    _check_pruning(options)
    prune = Prune(plan, options.root, options.forget, reporter, options.lease_seconds, options.if_there)
    if options.dry_run:
        reporter.event("would-free", bytes=(freed := prune.preview()))
        return Summary(0, 0, 0.0), [f"nothing was removed; to forget {_describe_plans(prune)} would free {freed} bytes"]
    summary = _fill(plan, options, reporter, verified, left)
    if not options.prune:
        return summary, []
    reporter.event("freed", bytes=(freed := prune.run()))
    return summary, [f"{_describe_plans(prune)} forgotten, {freed} bytes freed"]


def _describe_plans(prune: Prune) -> str:
    return f"plan {', '.join(prune.forgotten)}" if prune.forgotten else "no plan"


def _fill(
    plan: WeightsPlan, options: argparse.Namespace, reporter: Reporter, verified: dict[str, Stored], left: float
) -> Summary:
    if options.link:
        if options.copy_from or options.wait is not None:
            raise PlanError("--link with --copy-from or --wait", "Remove the others: images are mounted at once.")
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
            patience=_make_patience(options, left),
            lease_seconds=options.lease_seconds,
            distrust=options.verify,
            verified=verified,
        ).run()
    if options.model_folders:
        make_model_folders(plan, options.root)
    return summary


def _make_patience(options: argparse.Namespace, left: float) -> Patience:
    """Limit the wait for a host's rate limit to the time that is left, if the command line sets one."""
    patience = Patience(stall_seconds=options.stall_seconds)
    return replace(patience, window_seconds=min(patience.window_seconds, left)) if options.patience else patience


def _check_pruning(options: argparse.Namespace) -> None:
    """Raise PlanError for options that exclude each other."""
    if (options.forget or options.dry_run or options.if_there) and not options.prune:
        raise PlanError("--forget, --if-there and --dry-run need --prune", "Add --prune, or remove them.")
    if options.prune and (options.link or options.copy_from or options.wait is not None):
        raise PlanError("--prune with --link, --copy-from or --wait", "Prune the store that fetch fills.")


def leave_message(text: str, path: Path | None) -> None:
    """Write `text` where Kubernetes looks for the reason; the default path is used only if it exists."""
    target = path or TERMINATION_LOG
    if path is None and not target.is_file():
        return
    try:
        target.write_bytes(text.encode()[:MESSAGE_BYTES])
    except OSError as error:
        _warn(f"cannot write {target}: {error.strerror}")


def _warn(text: str) -> None:
    write_line(sys.stderr, f"larder-sidecar fetch: {text}", seconds=LAST_LINE_SECONDS)
