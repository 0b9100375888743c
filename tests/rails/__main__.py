"""`make rails BEFORE=<commit>`: print every difference to that commit, and exit with status 1 if there is one.

BEFORE: the commit to compare with (HEAD). AFTER: the commit to compare, in place of this checkout as it stands.
ONLY: names of rails, separated by commas. RUNS: connections to the gateways (50,000). SEED: another word, other stack
files and connections. TEXTS: if it is set, the words of the gateway's errors are no difference.
"""

import concurrent.futures
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from tests.rails import corpus, gateways, names, plans, verdicts
from tests.rails.trees import HOME, RailError, Tree, checkout, here

FILES = 2_000
"""Number of generated stack files."""


def _plans(before: Tree, after: Tree) -> Iterable[object]:
    cases = plans.cases()
    return plans.compare(
        *_both(lambda tree: plans.record(tree, HOME / "plans" / tree.root.name, cases), before, after),
    )


def _names(before: Tree, after: Tree) -> Iterable[object]:
    return names.compare(*_both(names.record, before, after))


def _settings(before: Tree, after: Tree) -> Iterable[object]:
    shutil.rmtree(HOME / "stack-files", ignore_errors=True)
    folders = verdicts.write(HOME / "stack-files", [*corpus.written(), *corpus.generated(FILES, _seed())])
    was, now = _both(lambda tree: verdicts.record(tree, folders), before, after)
    print(f"  settings  before: {verdicts.counts(was)}; after: {verdicts.counts(now)}")
    return verdicts.compare(was, now)


def _requests(before: Tree, after: Tree) -> Iterable[object]:
    return gateways.fuzz(before, after, int(os.environ.get("RUNS") or 50_000), _seed(), HOME / "gateways")


def _seed() -> str:
    return os.environ.get("SEED") or "0"


T = TypeVar("T")


def _both(record: Callable[[Tree], T], before: Tree, after: Tree) -> list[T]:
    """Record both sides at the same time."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(record, (before, after)))


RAILS: dict[str, Callable[[Tree, Tree], Iterable[object]]] = {
    "plans": _plans,
    "names": _names,
    "settings": _settings,
    "requests": _requests,
}


def main() -> int:
    """Run the chosen rails; return 1 after a difference, 2 for a wrong call."""
    chosen = [name for name in os.environ.get("ONLY", "").split(",") if name] or list(RAILS)
    if unknown := [name for name in chosen if name not in RAILS]:
        print(f"ONLY={','.join(unknown)}: no such rail. Choose from {', '.join(RAILS)}", file=sys.stderr)
        return 2
    try:
        before, given = checkout(os.environ.get("BEFORE") or "HEAD"), os.environ.get("AFTER")
        after = checkout(given) if given else here()
        return int(sum(_run(name, before, after) for name in chosen) > 0)
    except RailError as error:
        print(error, file=sys.stderr)
        return 2


def _run(name: str, before: Tree, after: Tree) -> bool:
    began, count = time.monotonic(), 0
    for count, difference in enumerate(RAILS[name](before, after), 1):  # noqa: B007 (counted to the end)
        print(f"! {name}: {difference}", flush=True)
    print(f"  {name:<9} {count or 'no'} differences, {time.monotonic() - began:.0f} s", flush=True)
    return bool(count)


if __name__ == "__main__":
    sys.exit(main())
