"""Output for people while a command works: one line a step, with elapsed and expected time."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class CommandError(Exception):
    """A command cannot continue. The text names the place, the problem and the remedy."""


def say(text: str = "") -> None:
    """Print a line and flush it, so that a pipe receives it at once."""
    print(text, flush=True)


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


@contextmanager
def step(title: str, expected: float = 0) -> Iterator[None]:
    """Show `title` while the body runs. `expected`: seconds on two cores with cold caches; 0 for unknown."""
    started = time.monotonic()
    hint = f" of about {_clock(expected)}" if expected else ""
    done = threading.Event()
    live = sys.stdout.isatty()

    def tick() -> None:
        while not done.wait(1 if live else 30):
            line = f"  … {title}: {_clock(time.monotonic() - started)}{hint}"
            print(f"\r{line:<100}" if live else line, end="" if live else "\n", flush=True)

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    mark = "✗"
    try:
        yield
        mark = "✓"
    finally:
        done.set()
        ticker.join()
        took = time.monotonic() - started
        line = f"  {mark} {title}" + (f" ({_clock(took)})" if took >= 1 else "")
        print(f"\r{line:<100}" if live else line, flush=True)


def run(
    argv: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 3600,
    capture: bool = False,
) -> str:
    """Run a command and stream its output to `log`; with `capture`, return stdout instead.

    Raise CommandError with the end of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as sink:
        sink.write(f"$ {' '.join(map(str, argv))}\n")
        sink.flush()
        started = sink.tell()
        try:
            done = subprocess.run(
                list(map(str, argv)),
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if capture else sink,
                stderr=sink,
                timeout=timeout,
                text=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            msg = f"{argv[0]} did not finish within {timeout:.0f} s; see {log}"
            raise CommandError(msg) from error
    if done.returncode:
        with log.open("rb") as written:
            written.seek(started)
            tail = written.read().decode(errors="replace").splitlines()[-15:]
        end = "\n".join(f"    {line}" for line in tail)
        msg = f"{' '.join(map(str, argv[:4]))} … failed with exit code {done.returncode}. The end of {log}:\n{end}"
        raise CommandError(msg)
    return done.stdout or ""
