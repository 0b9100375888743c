"""git-sync's contract in a loop, for clusters that cannot have git-sync: a link that is flipped to a checkout.

By git-sync's README and manual (v4): --link below --root points, relatively, to .worktrees/<hash>; it is replaced by a
rename, so readers see one commit or the other; a checkout that is no longer linked stays for --stale-worktree-timeout;
--max-failures below 0 never gives up. An option that we do not know is refused, as git-sync refuses it.
"""

import argparse
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

UNITS = {"s": 1, "m": 60}


def main() -> int:
    """Run until killed; 1 after too many failures in a row."""
    parser = argparse.ArgumentParser(prog="git-sync", description=__doc__)
    parser.add_argument("--repo", required=True)
    parser.add_argument("--ref", default="HEAD")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--link", required=True)
    parser.add_argument("--period", type=seconds, default=10.0)
    parser.add_argument("--stale-worktree-timeout", type=seconds, default=0.0)
    parser.add_argument("--max-failures", type=int, default=0)
    parser.add_argument("--submodules", choices=["recursive", "shallow", "off"], default="recursive")
    options = parser.parse_args()
    # Process 1 of a container has no default: it would ignore the signal.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    git(options.root, "init", "--quiet")
    failures = 0
    while True:
        try:
            sync(options.root, options.repo, options.ref, options.root / options.link, options.stale_worktree_timeout)
            failures = 0
        except subprocess.CalledProcessError as error:
            failures += 1
            print(f"cannot sync {options.repo}: {error.stderr.strip()}", file=sys.stderr, flush=True)
            if 0 <= options.max_failures < failures:
                return 1
        time.sleep(options.period)


def sync(root: Path, repo: str, ref: str, link: Path, stale_seconds: float) -> None:
    """Fetch, check out what is new, flip the link. Raise subprocess.CalledProcessError."""
    git(root, "fetch", "--quiet", "--force", repo, ref)
    commit = git(root, "rev-parse", "FETCH_HEAD^{commit}")
    checkout = root / ".worktrees" / commit
    if not checkout.exists():
        git(root, "worktree", "add", "--quiet", "--detach", str(checkout), commit)
    target = checkout.relative_to(link.parent)
    if not link.is_symlink() or link.readlink() != target:
        new = link.with_name("tmp-link")
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.rename(link)
        checkout.touch()  # what is stale is counted from the last time it was linked
        print(f"{link} -> {target}", flush=True)
    for old in checkout.parent.iterdir():
        if old != checkout and time.time() - old.stat().st_mtime > stale_seconds:
            git(root, "worktree", "remove", "--force", str(old))


def git(root: Path, *words: str) -> str:
    """Run git on the repository and return what it says."""
    # The folder of a volume is root's; git works below another's folder only if its settings allow that.
    command = ["git", "-c", "safe.directory=*", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def seconds(text: str) -> float:
    """Return the seconds of a duration such as `90s` or `2m`."""
    match = re.fullmatch(r"(\d+)([sm])", text)
    if match is None:
        msg = f"{text!r} is no duration"
        raise argparse.ArgumentTypeError(msg)
    return float(match[1]) * UNITS[match[2]]


if __name__ == "__main__":
    sys.exit(main())
