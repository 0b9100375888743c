"""`make rails BEFORE=<commit>`: print every difference to that commit, and exit with status 1 where there is one.

BEFORE: the commit to compare with (HEAD). ONLY: names of rails, separated by commas.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable

from tests.rails import names, plans
from tests.rails.trees import HOME, RailError, Tree, checkout, here


def _plans(before: Tree, after: Tree) -> Iterable[object]:
    folder, cases = HOME / "plans", plans.cases()
    return plans.compare(plans.record(before, folder / "before", cases), plans.record(after, folder / "after", cases))


def _names(before: Tree, after: Tree) -> Iterable[object]:
    return names.compare(names.record(before), names.record(after))


RAILS: dict[str, Callable[[Tree, Tree], Iterable[object]]] = {"plans": _plans, "names": _names}


def main() -> int:
    """Run the chosen rails; return 1 after a difference, 2 for a wrong call."""
    chosen = [name for name in os.environ.get("ONLY", "").split(",") if name] or list(RAILS)
    if unknown := [name for name in chosen if name not in RAILS]:
        print(f"ONLY={','.join(unknown)}: no such rail. Choose from {', '.join(RAILS)}", file=sys.stderr)
        return 2
    try:
        before, after = checkout(os.environ.get("BEFORE") or "HEAD"), here()
        return int(sum(_run(name, before, after) for name in chosen) > 0)
    except RailError as error:
        print(error, file=sys.stderr)
        return 2


def _run(name: str, before: Tree, after: Tree) -> bool:
    began = time.monotonic()
    found = list(RAILS[name](before, after))
    for difference in found:
        print(f"! {name}: {difference}")
    print(f"  {name:<9} {len(found) or 'no'} differences, {time.monotonic() - began:.0f} s", flush=True)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
