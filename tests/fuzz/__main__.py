"""`make fuzz`: run every parser of outside input on mutated seeds, and report the inputs that break it.

RUNS: inputs a target (20,000). SEED: another number, other inputs. ONLY: names of targets, separated by commas.
INPUT: a file, as a crash wrote it; ONLY that target gets it. Exit status 1 after a crash.
"""

import collections
import concurrent.futures
import hashlib
import os
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz import configs, gateways, weights
from tests.fuzz.target import BLOCK, Target, rounds

TARGETS = {target.name: target for target in (*gateways.TARGETS, *weights.TARGETS, *configs.TARGETS)}
SLOW_SECONDS = 0.25
"""Thread CPU of one input of a few kilobytes; more is a fault. PyYAML takes 0.2 s for a kilobyte of `[`, never more."""
FOUND = Path(".larder/fuzz")
SHOWN, TOLD_SECONDS = 3, 5.0
Crash = tuple[bytes, str]


def crash_of(target: Target, data: bytes) -> str:
    """Run one input; return the fault, '' for none."""
    began = time.thread_time()
    try:
        target.check(data)
    except BaseException:  # noqa: BLE001 (whatever it is)
        return traceback.format_exc(limit=-6)
    taken = time.thread_time() - began
    return f"it takes {taken:.2f} s\n" if taken > SLOW_SECONDS else ""


def run(name: str, seed: str, block: int) -> list[Crash]:
    """Return the first crashes of a block."""
    target, found = TARGETS[name], list[Crash]()
    for data in target.inputs(seed, block):
        if told := crash_of(target, data):
            found.append((data, told))
    return found[:SHOWN]


def fuzz(names: list[str], seed: str, times: int) -> int:
    """Run all blocks of all targets on all cores; return the number of targets that crashed."""
    crashed: collections.Counter[str] = collections.Counter()
    with concurrent.futures.ProcessPoolExecutor() as pool:
        for name in names:
            began = told_at = time.monotonic()
            blocks = rounds(times)
            for done, found in enumerate(pool.map(run, [name] * blocks, [seed] * blocks, range(blocks)), 1):
                for data, told in found:
                    crashed[name] += 1
                    if crashed[name] <= SHOWN:
                        report(name, data, told)
                now = time.monotonic()
                if now - told_at > TOLD_SECONDS or done == blocks:
                    rate = done * BLOCK / (now - began)
                    left = f", {(blocks - done) * BLOCK / rate:.0f} s left" if done < blocks else ""
                    crashes = f"{crashed[name]} crashes" if crashed[name] else "no crash"
                    print(f"  {name:<20} {done * BLOCK:>10,} inputs, {rate:>7,.0f}/s, {crashes}{left}", flush=True)
                    told_at = now
    return len(crashed)


def report(name: str, data: bytes, told: str) -> None:
    """Write the input to a file, and print how to run it again."""
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    print(
        f"! {name}: {data[:200]!r}{'…' if len(data) > 200 else ''}\n{told}  again: make fuzz ONLY={name} INPUT={path}"
    )


def main() -> int:
    """Run the targets and return the exit status, 2 for an unknown name."""
    chosen = [name for name in os.environ.get("ONLY", "").split(",") if name] or list(TARGETS)
    if unknown := [name for name in chosen if name not in TARGETS]:
        print(f"ONLY={','.join(unknown)}: there is no such target. Known: {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    if given := os.environ.get("INPUT"):
        told = {name: crash_of(TARGETS[name], Path(given).read_bytes()) for name in chosen}
        print("\n".join(f"{name}: {said or 'no crash'}" for name, said in told.items()))
        return int(any(told.values()))
    return int(fuzz(chosen, os.environ.get("SEED") or "0", int(os.environ.get("RUNS") or 20_000)) > 0)


if __name__ == "__main__":
    sys.exit(main())
